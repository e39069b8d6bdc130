"""Slips in a .env file are told; what is meant as it stands is not."""

import re
from pathlib import Path

import pytest
from dotenv import dotenv_values

from config.env_file import env_file_warnings
from config.settings import PROJECT_ROOT, Settings, read_settings

pytestmark = pytest.mark.unit


def told(env_file: dict[str, str]) -> list[str]:
    return list(env_file_warnings(env_file, read_settings(env_file)))


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("RATE_LIMIT_CALL", "RATE_LIMIT_CALLS"),
        ("POSTGRESS_HOST", "POSTGRES_HOST"),
        ("DATABSE_URL", "DATABASE_URL"),
        ("CORS_ORIGIN", "CORS_ORIGINS"),
        ("uvicorn_worker", "UVICORN_WORKERS"),
    ],
)
def test_a_name_that_is_nearly_a_setting_is_published(name: str, meant: str) -> None:
    (line,) = told({name: "1"})
    assert name in line
    assert meant in line


@pytest.mark.parametrize(
    ("env_file", "names"),
    [
        ({"POSTGRES_PASSWORD": "x", "POSTGRES_USER": "shop"}, "POSTGRES_PASSWORD, POSTGRES_USER"),
        ({"REDIS_PORT": "6380"}, "REDIS_PORT"),
    ],
)
def test_a_server_without_a_host_is_published(env_file: dict[str, str], names: str) -> None:
    (line,) = told(env_file)
    assert line.startswith(names)


@pytest.mark.parametrize(
    "env_file",
    [
        {},
        {"LOG_LEVEL": "INFO", "COMPOSE_PROJECT_NAME": "shop", "PATH": "/bin", "REDIS_ENABLED": "false"},
        {"POSTGRES_HOST": "db", "POSTGRES_PASSWORD": "x"},
        {"DATABASE_URL": "postgresql://db/x", "POSTGRES_PASSWORD": "x", "REDIS_CACHE_TTL": "60"},
    ],
)
def test_what_is_meant_is_not(env_file: dict[str, str]) -> None:
    assert told(env_file) == []


@pytest.mark.parametrize("example", [".env.example", ".env.production.example"])
def test_the_examples_are_without_doubt(example: str, tmp_path: Path) -> None:
    text = (PROJECT_ROOT / example).read_text().replace("# ", "#")
    names = [line[1:].partition("=")[0] for line in text.splitlines() if line.startswith("#") and "=" in line]
    variables = {name: "1" for name in names if name.isupper()}
    assert variables
    (tmp_path / ".env").write_text("".join(f"{name}=\n" for name in variables))
    assert [line for line in env_file_warnings(variables, read_settings({})) if ".env sets" in line] == []
    assert dotenv_values(PROJECT_ROOT / example) == {}


@pytest.mark.parametrize("told_in", [".env.example", ".env.production.example", "docs/operations.md"])
def test_every_setting_is_published_of(told_in: str) -> None:
    words = set(re.findall(r"[A-Z][A-Z_]+", (PROJECT_ROOT / told_in).read_text()))
    assert {name.upper() for name in Settings.model_fields} <= words
