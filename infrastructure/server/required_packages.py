"""Required packages: one line for a program that is started outside of its virtual environment.

Only the standard library is imported here: everything else may be missing.
"""

import sys
from importlib.util import find_spec
from pathlib import Path

# Some packages of requirements.txt, under the names that are imported.
_NEEDED = ("fastapi", "sqlalchemy", "psycopg", "psycopg2", "pydantic", "redis", "alembic", "dotenv", "orjson", "httpx")


def require_packages() -> None:
    """End the process with one line and exit code 2 if packages are not installed for this Python."""
    missing = [name for name in _NEEDED if find_spec(name) is None]
    if missing:
        python = Path(".venv", "bin", "python")
        there = f"use {python}" if python.exists() else "`make run` makes .venv with all of them"
        sys.stderr.write(f"Stopped: {sys.executable} has no {', '.join(missing)}: {there}\n")
        raise SystemExit(2)
