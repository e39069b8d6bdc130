"""Which build runs: as an image says, else by the working copy, as git has written it down."""

import datetime as dt
from pathlib import Path

import pytest

from config import release
from config.release import RELEASE, build_of
from config.settings import SettingsError, read_settings

pytestmark = pytest.mark.unit

COMMIT = "0123456789abcdef0123456789abcdef01234567"


def checked_out(folder: Path, monkeypatch: pytest.MonkeyPatch, **files: str) -> str | None:
    for name, text in files.items():
        path = folder / ".git" / name.replace("__", "/").replace("_", "-" if name.startswith("packed") else "_")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    monkeypatch.setattr(release, "PROJECT_ROOT", folder)
    return build_of(read_settings({})).commit


def test_an_image_says_it_itself() -> None:
    build = build_of(read_settings({"BUILD_COMMIT": COMMIT, "BUILD_TIME": "2026-11-29T10:00:00Z"}))
    assert (build.release, build.commit) == (RELEASE, COMMIT)
    assert build.build_time == dt.datetime(2026, 11, 29, 10, tzinfo=dt.UTC)


@pytest.mark.parametrize(
    "files",
    [
        {"HEAD": COMMIT + "\n"},
        {"HEAD": "ref: refs/heads/main\n", "refs__heads__main": COMMIT + "\n"},
        {"HEAD": "ref: refs/heads/main\n", "packed_refs": f"# pack-refs with: peeled\n{COMMIT} refs/heads/main\n"},
    ],
)
def test_a_working_copy_knows_its_commit(
    files: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert checked_out(tmp_path, monkeypatch, **files) == COMMIT


@pytest.mark.parametrize(
    "files",
    [
        {},
        {"HEAD": "ref: refs/heads/main\n"},
        {"HEAD": "ref: refs/heads/main\n", "packed_refs": "# pack-refs\n"},
        {"HEAD": "<html>"},
    ],
)
def test_others_do_not(files: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert checked_out(tmp_path, monkeypatch, **files) is None


@pytest.mark.parametrize("wrong", [{"BUILD_COMMIT": "main"}, {"BUILD_TIME": "yesterday"}, {"BUILD_TIME": "2026-11-29"}])
def test_what_is_neither_is_refused(wrong: dict[str, str]) -> None:
    with pytest.raises(SettingsError):
        read_settings(wrong)
