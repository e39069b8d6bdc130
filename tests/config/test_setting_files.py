"""Settings out of files: `NAME_FILE` for each of them, and the one line that refuses a file."""

import os
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from config.env_file import env_file_warnings
from config.setting_files import SUFFIX
from config.settings import PROJECT_ROOT, Settings, SettingsError, export_setting, read_settings
from tests.shop import environment_of, shop_processes

NAMES = [name.upper() for name in Settings.model_fields]
PASSWORD = 'a\'b "c" #d=%e é'


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    file = tmp_path / "password"
    file.write_text(f"{PASSWORD}\n", encoding="utf-8")
    return file


@pytest.mark.unit
@pytest.mark.parametrize("name", NAMES)
def test_every_setting_may_be_a_file(name: str, tmp_path: Path) -> None:
    # What is no value of the setting is refused by its own name, so the file was read.
    (tmp_path / "value").write_text("\x00 no value of most settings\n")
    try:
        seen = str(sorted(read_settings({name + SUFFIX: str(tmp_path / "value")}).model_fields_set)).upper()
    except SettingsError as error:
        seen = str(error)
    assert name in seen
    assert "no value of most" not in seen


@pytest.mark.unit
def test_no_setting_is_named_as_the_file_of_another() -> None:
    assert [name for name in NAMES if name.endswith(SUFFIX)] == []


@pytest.mark.unit
@pytest.mark.parametrize("end", ["", "\n", "\r\n", "\n\n"])
def test_the_end_of_the_line_is_no_part_of_it(end: str, tmp_path: Path) -> None:
    (tmp_path / "password").write_bytes(f" {PASSWORD} {end}".encode())
    assert read_settings({"POSTGRES_PASSWORD_FILE": str(tmp_path / "password")}).postgres_password == f" {PASSWORD} "


@pytest.mark.unit
def test_a_relative_path_is_below_the_project(secret: Path) -> None:
    path = os.path.relpath(secret, PROJECT_ROOT)
    assert read_settings({"POSTGRES_PASSWORD_FILE": f" {path} "}).postgres_password == PASSWORD


@pytest.mark.unit
def test_an_empty_variable_or_file_is_not_set(secret: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").write_text("\n")
    assert read_settings({"API_PORT_FILE": ""}).api_port == 8000
    assert read_settings({"API_PORT_FILE": str(tmp_path / "empty")}).api_port == 8000
    assert read_settings({"POSTGRES_PASSWORD": "", "POSTGRES_PASSWORD_FILE": str(secret)}).postgres_password == PASSWORD


@pytest.mark.unit
def test_value_and_file_at_once_are_refused(secret: Path) -> None:
    with pytest.raises(SettingsError, match=r"^POSTGRES_PASSWORD and POSTGRES_PASSWORD_FILE are both set") as refusal:
        read_settings({"POSTGRES_PASSWORD": "x", "POSTGRES_PASSWORD_FILE": str(secret)})
    assert "\n" not in str(refusal.value)


@pytest.mark.unit
@pytest.mark.parametrize(
    ("file", "why"),
    [
        ("/nonexistent/password", "No such file"),
        ("/", "Is a directory"),
        ("/dev/zero", "longer than a setting"),
        ("/etc/passwd/x", "Not a directory"),
        ("a\x00b", "null byte"),
    ],
)
def test_a_file_that_cannot_be_read_is_one_line(file: str, why: str) -> None:
    with pytest.raises(SettingsError, match=f"SECRET_KEYS_FILE.*{why}") as refusal:
        read_settings({"SECRET_KEYS_FILE": file})
    assert "\n" not in str(refusal.value)


@pytest.mark.unit
def test_what_stands_in_a_file_is_not_shown(tmp_path: Path) -> None:
    (tmp_path / "url").write_text("topsecret")
    for name in ("DATABASE_URL", "API_PORT", "RATE_LIMIT_LOGIN", "SMTP_URL"):
        with pytest.raises(SettingsError, match=name) as refusal:
            read_settings({name + SUFFIX: str(tmp_path / "url")})
        assert "topsecret" not in str(refusal.value)


@pytest.mark.unit
def test_files_are_no_misspelled_settings() -> None:
    assert list(env_file_warnings({"POSTGRES_PASSWORD_FILE": "x", "API_PORT_FILE": "y"}, read_settings({}))) == []


@pytest.mark.unit
@pytest.mark.parametrize(
    ("in_file", "environment", "port"),
    [
        ("API_PORT=1111", {"API_PORT_FILE": "2222"}, "2222"),
        ("API_PORT_FILE={1111}", {"API_PORT": "2222"}, "2222"),
        ("API_PORT_FILE={1111}", {}, "1111"),
        ("API_PORT_FILE={1111}", {"API_PORT": ""}, "8000"),
    ],
)
def test_the_environment_wins_over_the_env_file(
    in_file: str, environment: dict[str, str], port: str, tmp_path: Path
) -> None:
    for number in ("1111", "2222"):
        (tmp_path / number).write_text(number)
    (tmp_path / ".env").write_text(in_file.replace("{1111}", str(tmp_path / "1111")))
    program = (
        "import sys, config.settings as s; from pathlib import Path; s.PROJECT_ROOT = Path(sys.argv[1]); "
        "print(s.get_settings().api_port)"
    )
    shown = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path)],
        cwd=PROJECT_ROOT,
        env={"PATH": os.defpath, **environment},
        capture_output=True,
        text=True,
        check=True,
    )
    assert shown.stdout.split() == [port]


@pytest.mark.unit
def test_what_is_exported_takes_the_place_of_the_file(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("API_PORT", "")
    monkeypatch.setenv("API_PORT_FILE", "/nonexistent")
    export_setting("API_PORT", "1234")
    assert read_settings(os.environ).api_port == 1234


@pytest.mark.integration
@pytest.mark.slow
def test_a_shop_and_its_processes_run_on_files(database_url: str, redis_url: str, tmp_path: Path) -> None:
    environment = environment_of(database_url, redis_url, tmp_path, SECRET_KEYS="x" * 40, AUTH="off")
    for name in ("DATABASE_URL", "REDIS_URL", "SECRET_KEYS", "AUTH", "RATE_LIMIT_CALLS"):
        if name in environment:
            (tmp_path / name).write_text(environment.pop(name) + "\n")
            environment[name + SUFFIX] = str(tmp_path / name)
    assert "DATABASE_URL_FILE" in environment
    with shop_processes(environment, workers=2) as (url, _), httpx.Client(base_url=url, timeout=60) as client:
        assert client.get("/health/ready").status_code == 200
        assert client.get("/categories").status_code == 200
