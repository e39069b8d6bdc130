"""The units of deploy/systemd: systemd takes them, and they give the shop what it needs and little else."""

import configparser
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from config.settings import PROJECT_ROOT, Settings, read_settings

pytestmark = pytest.mark.unit

UNITS = sorted((PROJECT_ROOT / "deploy" / "systemd").glob("*.service"))
EACH = pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.name)


def lines(unit: Path, key: str) -> list[str]:
    found = [line for line in unit.read_text().splitlines() if line.startswith(f"{key}=")]
    return [line.partition("=")[2] for line in found]


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is not installed")
@EACH
def test_systemd_takes_it(unit: Path, tmp_path: Path) -> None:
    for other in UNITS:
        # The programs, folders and users of a server are not here.
        text = other.read_text().replace("/srv/shop/.venv/bin/python", sys.executable).replace("User=shop", "User=root")
        text = text.replace("Group=shop", "Group=root").replace("file:///srv/shop", f"file://{PROJECT_ROOT}")
        (tmp_path / other.name).write_text(text.replace("/srv/shop", str(PROJECT_ROOT)))
    verified = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", tmp_path / unit.name], capture_output=True, text=True, check=False
    )
    assert [line for line in verified.stderr.splitlines() if unit.name in line] == []


@EACH
def test_what_it_sets_are_settings(unit: Path) -> None:
    given = dict(pair.split("=", 1) for line in lines(unit, "Environment") for pair in shlex.split(line))
    assert {name.removesuffix("_FILE") for name in given} <= {name.upper() for name in Settings.model_fields}
    credentials = {line.partition(":")[0] for line in lines(unit, "LoadCredential")}
    assert credentials == {value.removeprefix("%d/") for name, value in given.items() if name.endswith("_FILE")}
    assert read_settings({name: value for name, value in given.items() if not name.endswith("_FILE")})


@EACH
def test_what_it_starts_is_there(unit: Path) -> None:
    (command,) = lines(unit, "ExecStart")
    program, *arguments = command.split()
    assert program == "/srv/shop/.venv/bin/python"
    name = f"{arguments[1].replace('.', '/')}.py" if arguments[0] == "-m" else arguments[0]
    assert (PROJECT_ROOT / name).exists()


def test_both_are_confined_alike() -> None:
    keys = configparser.RawConfigParser(strict=False, interpolation=None)
    confined = []
    for unit in UNITS:
        keys.read(unit)
        confined.append({name: value for name, value in keys["Service"].items() if name.startswith(("protect", "no"))})
        keys.clear()
    assert confined[0] == confined[1]
    assert confined[0]["nonewprivileges"] == "yes"


def test_the_launcher_has_the_time_to_drain() -> None:
    (seconds,) = lines(PROJECT_ROOT / "deploy" / "systemd" / "shop.service", "TimeoutStopSec")
    assert float(seconds) >= Settings().drain_seconds + 30 + 5
