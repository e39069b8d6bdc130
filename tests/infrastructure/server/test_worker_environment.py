"""The keys of a shop that has none in its settings, and what its workers are told."""

import os
from pathlib import Path

import pytest

from config.settings import SettingsError, get_settings, read_settings
from infrastructure.embedded.servers import embedded_urls
from infrastructure.server.worker_environment import export_settings, with_secret_keys

pytestmark = pytest.mark.unit

OUTSIDE = {"DATABASE_URL": "postgresql://shop:p@db.example/shop", "REDIS_ENABLED": "false"}


@pytest.fixture
def nowhere(tmp_path: Path) -> str:
    """A data folder that cannot be made, whoever tries."""
    (tmp_path / "file").touch()
    return str(tmp_path / "file" / "data")


def test_a_folder_that_can_be_written_keeps_the_key(tmp_path: Path) -> None:
    said: list[str] = []
    settings = read_settings({**OUTSIDE, "DATA_DIR": str(tmp_path / "data"), "AUTH": "on"})
    assert with_secret_keys(settings, said.append).secret_keys == ()
    assert (tmp_path / "data" / "secret_key").is_file()
    assert said == []


def test_with_keys_nothing_is_made(nowhere: str) -> None:
    settings = read_settings({**OUTSIDE, "DATA_DIR": nowhere, "AUTH": "on", "SECRET_KEYS": "x" * 32})
    assert with_secret_keys(settings, pytest.fail) is settings


def test_where_no_key_can_be_kept_auth_on_does_not_start(nowhere: str) -> None:
    with pytest.raises(SettingsError, match="set SECRET_KEYS, or DATA_DIR to a folder") as caught:
        with_secret_keys(read_settings({**OUTSIDE, "DATA_DIR": nowhere, "AUTH": "on"}), pytest.fail)
    assert "\n" not in str(caught.value)


def test_and_with_auth_off_the_workers_share_a_key_of_this_run(nowhere: str, monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    given = read_settings({**OUTSIDE, "DATA_DIR": nowhere})
    settings = with_secret_keys(given, said.append)
    (key,) = settings.secret_keys
    (line,) = said
    assert len(key) >= 32
    assert key not in line
    assert with_secret_keys(given, said.append).secret_keys != (key,)

    monkeypatch.setattr(os, "environ", {**OUTSIDE, "DATA_DIR": nowhere})
    export_settings(settings, embedded_urls(settings), address="192.0.2.1:8000", metrics=None, production=True)
    try:
        assert get_settings().secret_keys == (key,)
        assert get_settings().shop_url == "http://192.0.2.1:8000"
        assert get_settings().auth is False
    finally:
        get_settings.cache_clear()


def test_the_address_that_is_set_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = read_settings({**OUTSIDE, "SHOP_URL": "https://shop.example"})
    monkeypatch.setattr(os, "environ", dict(OUTSIDE))
    export_settings(settings, embedded_urls(settings), address="192.0.2.1:8000", metrics=None, production=True)
    try:
        assert get_settings().shop_url == "https://shop.example"
    finally:
        get_settings.cache_clear()
