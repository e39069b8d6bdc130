"""`python -m scripts.users` as a command of its own, where nothing runs yet."""

import subprocess
import sys
from pathlib import Path

import pytest

from config.settings import PROJECT_ROOT
from scripts.database import EXIT_FINE

pytestmark = [pytest.mark.integration, pytest.mark.slow]

PASSWORD = "correct horse battery staple"


def test_as_a_command_on_embedded_servers_that_do_not_run(tmp_path: Path) -> None:
    environment = {"PATH": "/usr/bin:/bin", "DATA_DIR": str(tmp_path), "REDIS_ENABLED": "false"}

    def run(*command: str, given: str = "") -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", *command],
            cwd=PROJECT_ROOT,
            env=environment,
            input=given,
            capture_output=True,
            text=True,
            timeout=100,
            check=False,
        )

    # The folder is new: its database is made and migrated first.
    made = run("scripts.users", "create-admin", "--email", "ada@example.com", given=f"{PASSWORD}\n")
    assert (made.returncode, made.stdout) == (EXIT_FINE, "ada is an administrator now.\n"), made.stderr
    assert "ada@example.com" in run("scripts.users", "list").stdout
