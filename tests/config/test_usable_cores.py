"""The default number of workers knows the quotas of containers."""

import os
from pathlib import Path

import pytest

from config.usable_cores import usable_cores

pytestmark = pytest.mark.unit


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


@pytest.fixture(autouse=True)
def eight_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(8)))


@pytest.mark.parametrize(
    ("quota", "cores"),
    [
        ("max 100000", 8),
        ("200000 100000", 2),
        ("150000 100000", 2),
        ("50000 100000", 1),
        ("1600000 100000", 8),
        ("?", 8),
    ],
)
def test_the_quota_of_a_container(tmp_path: Path, quota: str, cores: int) -> None:
    write(tmp_path / "groups" / "cpu.max", quota)
    assert usable_cores(tmp_path / "groups", write(tmp_path / "own", "0::/\n")) == cores


def test_the_lowest_quota_of_all_groups_around_it(tmp_path: Path) -> None:
    write(tmp_path / "groups" / "shop.slice" / "cpu.max", "300000 100000")
    write(tmp_path / "groups" / "shop.slice" / "web" / "cpu.max", "max 100000")
    assert usable_cores(tmp_path / "groups", write(tmp_path / "own", "0::/shop.slice/web\n")) == 3


def test_groups_of_the_first_version(tmp_path: Path) -> None:
    write(tmp_path / "groups" / "cpu,cpuacct" / "cpu.cfs_quota_us", "250000")
    write(tmp_path / "groups" / "cpu,cpuacct" / "cpu.cfs_period_us", "100000")
    assert usable_cores(tmp_path / "groups", write(tmp_path / "own", "4:cpu,cpuacct:/outside/path\n1:name=x:/\n")) == 3


def test_without_groups(tmp_path: Path) -> None:
    assert usable_cores(tmp_path, tmp_path / "none") == 8
