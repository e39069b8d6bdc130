"""The Dockerfiles: one build, two entry points, no root, nothing in the image that the shop does not need."""

import fnmatch
import re
import subprocess
import sys
from pathlib import Path

import pytest

from config.settings import PROJECT_ROOT, Settings

pytestmark = pytest.mark.unit

DOCKERFILES = ["Dockerfile", "Dockerfile.production"]
FILES = pytest.mark.parametrize("file", DOCKERFILES)


def instructions(file: str) -> list[str]:
    """What the file says, without comments, each instruction in one line."""
    lines = [line for line in (PROJECT_ROOT / file).read_text().splitlines() if line and not line.startswith("#")]
    return re.sub(r"\s*\\\n\s*", " ", "\n".join(lines)).splitlines()


def last_stage(file: str) -> list[str]:
    found = instructions(file)
    return found[max(number for number, line in enumerate(found) if line.startswith("FROM")) :]


@FILES
def test_hadolint_has_nothing_to_say(file: str) -> None:
    checked = subprocess.run(
        [Path(sys.executable).parent / "hadolint", PROJECT_ROOT / file], capture_output=True, text=True, check=False
    )
    assert checked.returncode == 0, checked.stdout


def test_they_are_one_build_with_two_entry_points() -> None:
    development, production = map(instructions, DOCKERFILES)
    assert development[:-1] == production[:-1]
    assert development[-1] == 'CMD ["python", "main.py"]'
    assert production[-1] == 'CMD ["python", "run_production.py"]'


@FILES
def test_the_last_stage_runs_as_nobody_special_and_installs_nothing(file: str) -> None:
    stage = last_stage(file)
    assert stage[0].startswith("FROM python:3.13-slim")
    assert [line for line in stage if line.startswith("USER")] == ["USER 10001:10001"]
    assert not re.search(r"apt-get|pip install|gcc|build-essential", "\n".join(stage))
    assert [line for line in stage if line.startswith("HEALTHCHECK")]


@FILES
def test_no_secret_is_part_of_the_image(file: str) -> None:
    names = set(re.findall(r"\b([A-Z][A-Z_]+)=", "\n".join(line for line in instructions(file) if "ENV" in line[:4])))
    assert not {name for name in names if re.search("PASS|SECRET|KEY|TOKEN|URL", name)}
    settings = {name.upper() for name in Settings.model_fields}
    known = {"PATH", "PYTHONUNBUFFERED", "PYTHONDONTWRITEBYTECODE", "BUILD_COMMIT", "BUILD_TIME"}
    assert names - known <= settings


def context() -> list[str]:
    """The files of the project that go into the build, by .dockerignore."""
    lines = (PROJECT_ROOT / ".dockerignore").read_text().splitlines()
    patterns = [line for line in lines if line and not line.startswith("#")]
    tracked = [
        str(path.relative_to(PROJECT_ROOT))
        for path in PROJECT_ROOT.rglob("*")
        if path.is_file() and ".venv" not in path.parts[:-1] and ".git" not in path.parts
    ]

    def is_ignored(name: str) -> bool:
        first, parts = name.partition("/")[0], name.split("/")
        return any(
            fnmatch.fnmatch(part, pattern.removeprefix("**/"))
            for pattern in patterns
            for part in (parts if pattern.startswith("**/") else [first])
        )

    return [name for name in tracked if not is_ignored(name)]


def test_what_goes_into_the_image() -> None:
    files = context()
    assert {"main.py", "run_production.py", "alembic.ini", "scripts/worker.py", "requirements.lock"} <= set(files)
    folders = {name.partition("/")[0] for name in files}
    assert not folders & {"tests", "benchmarks", "docs", "deploy", ".git", ".venv", ".data", "secrets", "load_test.py"}
    assert not [name for name in files if name.startswith(".env") or name.endswith(".md")]
