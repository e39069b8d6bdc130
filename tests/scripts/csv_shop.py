"""Databases of their own for the scripts that move CSV files, and what stands in them."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from config.settings import get_settings
from scripts import export_csv, import_csv
from tests.race.databases import rows_of


@contextmanager
def named_by_the_settings(url: str, redis_url: str | None = None) -> Iterator[str]:
    """Let the settings of this process name the database at `url`."""
    redis = {"REDIS_ENABLED": "false"} if redis_url is None else {"REDIS_URL": redis_url}
    with pytest.MonkeyPatch.context() as patch:
        for name, value in {"DATABASE_URL": url, **redis}.items():
            patch.setenv(name, value)
        get_settings.cache_clear()
        yield url
    get_settings.cache_clear()


def imported(entity: str, path: Path, *options: str) -> int:
    """The exit code of an import."""
    return import_csv.main([entity, str(path), *options])


def exported(entity: str, path: Path, *options: str) -> bytes:
    """The file that an export makes."""
    assert export_csv.main([entity, str(path), *options]) == 0
    return path.read_bytes()


def stored(url: str, columns: str, table: str = "products") -> list[tuple[object, ...]]:
    """Columns of all rows, in the order of their keys."""
    return rows_of(url, f"SELECT {columns} FROM {table} ORDER BY id_key")
