"""The workflows of GitHub: of their schema, with commands that are there."""

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from config.settings import PROJECT_ROOT

pytestmark = pytest.mark.unit

WORKFLOWS = sorted((PROJECT_ROOT / ".github" / "workflows").glob("*.yml"))
EACH = pytest.mark.parametrize("workflow", WORKFLOWS, ids=lambda path: path.name)


def jobs(workflow: Path) -> dict[str, Any]:
    found: dict[str, Any] = YAML(typ="safe").load(workflow.read_text())["jobs"]
    return found


def commands(workflow: Path) -> list[str]:
    return [step["run"] for job in jobs(workflow).values() for step in job.get("steps", []) if "run" in step]


def test_there_are_checks_and_releases() -> None:
    assert {path.name for path in WORKFLOWS} == {"ci.yml", "release.yml"}
    assert {"check", "test", "faults", "images", "kubernetes", "dependencies"} <= set(jobs(WORKFLOWS[0]))


@EACH
def test_it_is_of_its_schema(workflow: Path) -> None:
    checked = subprocess.run(
        [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.github-workflows", workflow],
        capture_output=True,
        text=True,
        check=False,
    )
    assert checked.returncode == 0, checked.stdout


@EACH
def test_bash_can_read_its_commands(workflow: Path) -> None:
    for command in commands(workflow):
        subprocess.run(["bash", "-n"], input=command, text=True, check=True)


@EACH
def test_what_it_runs_of_the_project_is_there(workflow: Path) -> None:
    makefile = (PROJECT_ROOT / "Makefile").read_text().replace("$(VENV)", ".venv")
    for command in commands(workflow):
        for target in re.findall(r"^make (\S+)", command, re.MULTILINE):
            assert re.search(rf"^{re.escape(target)}:", makefile, re.MULTILINE), target
        for path in re.findall(
            r"(?:deploy|tests|\.ci)/[\w./-]+|docker-compose[\w.]*\.yaml|requirements[\w-]*\.lock", command
        ):
            assert (PROJECT_ROOT / path).exists(), path


@EACH
def test_every_job_has_an_end_and_every_action_its_version(workflow: Path) -> None:
    for name, job in jobs(workflow).items():
        assert "timeout-minutes" in job or "uses" in job, name
        for step in job.get("steps", []):
            if not step.get("uses", "./").startswith("./"):
                assert re.search(r"@v?\d", step["uses"]), step["uses"]


def test_the_notes_are_the_section_of_the_version(tmp_path: Path) -> None:
    (tmp_path / "CHANGELOG.md").write_text("# Changelog\n\n## [1.2.0]\n\n- New.\n\n## [1.1.0]\n\n- Old.\n")
    notes = next(command for command in commands(WORKFLOWS[1]) if "notes.md" in command)
    for version, found in (("v1.2.0", "- New."), ("v1.1.0", "- Old.")):
        subprocess.run(["bash", "-e", "-c", notes], cwd=tmp_path, env={"GITHUB_REF_NAME": version}, check=True)
        assert (tmp_path / "notes.md").read_text().strip() == found
    missing = subprocess.run(
        ["bash", "-e", "-c", notes], cwd=tmp_path, env={"GITHUB_REF_NAME": "v9.0.0"}, capture_output=True, check=False
    )
    assert missing.returncode == 1
