"""Outside of the virtual environment every program says in one line what is missing."""

import subprocess
import sys

import pytest

from config.settings import PROJECT_ROOT

pytestmark = pytest.mark.unit

PROGRAMS = (
    ["main.py"],
    ["run_production.py"],
    *(["-m", f"scripts.{name}"] for name in ("verify", "import_csv", "export_csv", "load_demo", "load_online_retail")),
    ["-m", "benchmarks.checkout"],
)


@pytest.mark.parametrize("program", PROGRAMS, ids=[" ".join(program) for program in PROGRAMS])
def test_missing_packages_are_one_line(program: list[str]) -> None:
    # Without site, Python knows no package but its own.
    ended = subprocess.run([sys.executable, "-I", "-S", "-c", _program(program)], capture_output=True, text=True)
    assert ended.returncode == 2
    assert ended.stdout == ""
    (line,) = ended.stderr.splitlines()
    assert "has no fastapi, sqlalchemy" in line
    assert ".venv" in line


def _program(arguments: list[str]) -> str:
    run = "run_module(sys.argv[0]" if arguments[0] == "-m" else f"run_path({str(PROJECT_ROOT / arguments[0])!r}"
    return (
        f"import runpy, sys; sys.path.insert(0, {str(PROJECT_ROOT)!r}); sys.argv = [{arguments[-1]!r}]; "
        f"runpy.{run}, run_name='__main__')"
    )
