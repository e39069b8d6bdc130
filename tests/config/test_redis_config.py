"""Where Redis is by the settings, and whether it answers."""

from pathlib import Path

import pytest

from config import redis_config as module
from config.settings import Settings


@pytest.mark.unit
def test_the_url_is_the_outside_one_when_one_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "get_settings", lambda: Settings(redis_host="cache.internal", redis_db=3))

    assert module.redis_config.get_connection_url() == "redis://cache.internal:6379/3"


@pytest.mark.unit
def test_there_is_no_url_when_redis_is_switched_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "get_settings", lambda: Settings(redis_host="cache.internal", redis_enabled=False))

    assert module.redis_config.get_connection_url() is None
    assert module.check_redis_connection() is False


@pytest.mark.unit
def test_the_embedded_url_opens_nothing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(module, "get_settings", lambda: Settings(data_dir=tmp_path / "data"))

    assert str(module.redis_config.get_connection_url()).startswith("unix://")
    assert not (tmp_path / "data").exists()


@pytest.mark.integration
def test_a_connection_check_tells_present_from_absent(
    monkeypatch: pytest.MonkeyPatch, redis_url: str, tmp_path: Path
) -> None:
    monkeypatch.setattr(module, "get_settings", lambda: Settings(redis_url=redis_url))
    assert module.check_redis_connection() is True
    monkeypatch.setattr(module, "get_settings", lambda: Settings(redis_url=f"unix://{tmp_path}/nobody.sock"))
    assert module.check_redis_connection() is False


@pytest.mark.integration
@pytest.mark.slow
def test_a_connection_check_starts_the_embedded_server(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    settings = Settings(database_url="postgresql+psycopg2://nobody@127.0.0.1:1/none", data_dir=tmp_path / "data")
    monkeypatch.setattr(module, "get_settings", lambda: settings)

    assert module.check_redis_connection() is True
