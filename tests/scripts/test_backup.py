"""`python -m scripts.backup`: backups are taken while the shop works, proved, kept for their days, and restored as a whole."""

import hashlib
import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest

from config.settings import get_settings
from infrastructure.backup.programs import connection_words
from infrastructure.embedded.servers import ServerUrls
from scripts.backup import EXIT_BROKEN, main
from scripts.database import EXIT_CANNOT, EXIT_FINE
from tests.race.databases import breaches, connected, execute, new_database, rows_of
from tests.race.goods import Goods
from tests.shop import environment_of, shop_in_thread

pytestmark = [pytest.mark.integration, pytest.mark.slow]


@pytest.fixture(scope="module")
def sold(servers: ServerUrls, tmp_path_factory: pytest.TempPathFactory) -> str:
    """A database with a product, a review, and orders of which one was returned."""
    url = new_database(servers.database_url)
    with (
        shop_in_thread(environment_of(url, None, tmp_path_factory.mktemp("sold"))) as shop_url,
        httpx.Client(base_url=shop_url) as http,
    ):
        goods = Goods(http)
        lamp = goods.product(stock=100, price=39.95)
        goods.bought((lamp, 2))
        canceled = goods.bought((lamp, 1))
        assert http.post(f"/orders/{canceled['id_key']}/cancel").status_code == 200
        assert http.post("/reviews", json={"product_id": lamp, "rating": 4.5}).status_code == 201
    return url


@pytest.fixture
def shop(sold: str, servers: ServerUrls, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A copy of it, which the settings of this process name; backups go to a folder of the test."""
    url = new_database(servers.database_url, sold)
    monkeypatch.setenv("DATABASE_URL", url)
    monkeypatch.setenv("REDIS_ENABLED", "false")
    monkeypatch.setenv("DATA_DIR", str(tmp_path))
    get_settings.cache_clear()
    yield url
    get_settings.cache_clear()


def backups(folder: Path) -> list[Path]:
    return sorted((folder / "backups").glob("*.dump"))


def test_a_backup_is_proved_by_restoring_it(shop: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--verify"]) == EXIT_FINE
    output = capsys.readouterr().out
    assert re.search(r"^Verified: shop-\d{8}T\d{6}Z\.dump restores to \d+ rows in \d+ tables", output, re.MULTILINE)
    (archive,) = backups(tmp_path)
    known = json.loads(archive.with_name(f"{archive.name}.json").read_text())
    assert known["rows"]["orders"] == 2
    assert known["size"] == archive.stat().st_size
    assert archive.stat().st_mode & 0o077 == 0
    assert main(["--list"]) == EXIT_FINE
    line = capsys.readouterr().out.splitlines()[-1]
    assert known["sha256"] in line
    assert f"{datetime.now(UTC):%Y-%m-%d}" in line


def test_a_restore_brings_everything_back(shop: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    seen = "SELECT id_key, total, status, updated_at FROM orders ORDER BY 1"
    comment = "SELECT obj_description('alembic_version'::regclass)"
    before, history = rows_of(shop, seen), rows_of(shop, comment)
    assert main([]) == EXIT_FINE
    execute(shop, "DELETE FROM stock_movements; UPDATE orders SET total = 1; CREATE TABLE of_later (id int)")
    execute(shop, "CREATE FUNCTION of_later() RETURNS int LANGUAGE sql AS 'SELECT 1'")
    assert main(["--restore", "newest", "--yes"]) == EXIT_FINE
    assert rows_of(shop, seen) == before
    assert rows_of(shop, comment) == history
    assert rows_of(shop, "SELECT to_regclass('of_later'), to_regproc('of_later')") == [(None, None)]
    assert breaches(shop) == []
    # Keys go on behind the last one.
    execute(shop, "INSERT INTO categories (name) VALUES ('After')")


def test_nothing_changes_where_somebody_else_is_connected(
    shop: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([]) == EXIT_FINE
    with connected(shop):
        assert main(["--restore", "newest", "--yes"]) == EXIT_CANNOT
    assert "1 other connection: stop the shop" in capsys.readouterr().err


def test_a_restore_is_refused_without_a_word_of_consent(
    shop: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([]) == EXIT_FINE
    execute(shop, "DELETE FROM reviews")
    monkeypatch.setattr("builtins.input", lambda question: "n")
    assert main(["--restore", "newest"]) == EXIT_CANNOT
    assert rows_of(shop, "SELECT 1 FROM reviews") == []


@pytest.mark.parametrize("damage", ["changed", "shorter", "gone"])
def test_a_damaged_backup_is_not_restored(
    shop: str, tmp_path: Path, damage: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([]) == EXIT_FINE
    (archive,) = backups(tmp_path)
    content = archive.read_bytes()
    if damage == "gone":
        archive.unlink()
    else:
        archive.write_bytes(content[:-10] if damage == "shorter" else content[:-1] + bytes([content[-1] ^ 1]))
    for command in (["--restore", "newest", "--yes"], ["--verify", archive.name]):
        assert main(command) == EXIT_CANNOT
    assert {"gone": "There is no backup", "changed": "damaged", "shorter": "damaged"}[damage] in capsys.readouterr().err
    assert breaches(shop) == []


def test_an_archive_that_ends_early_changes_nothing(
    shop: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Even where its checksum is right: what psql was given is not committed."""
    assert main([]) == EXIT_FINE
    (archive,) = backups(tmp_path)
    about = archive.with_name(f"{archive.name}.json")
    archive.write_bytes(archive.read_bytes()[: archive.stat().st_size * 9 // 10])
    known = json.loads(about.read_text())
    about.write_text(json.dumps(known | {"sha256": hashlib.sha256(archive.read_bytes()).hexdigest()}))
    assert main(["--restore", "newest", "--yes"]) == EXIT_CANNOT
    assert "failed:" in capsys.readouterr().err
    assert len(rows_of(shop, "SELECT 1 FROM orders")) == 2


def test_what_breaks_an_invariant_is_said(shop: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    execute(shop, "UPDATE products SET stock = stock + 1")
    assert main(["--verify"]) == EXIT_BROKEN
    output = capsys.readouterr()
    assert "its ledger says" in output.out
    assert "NOT SOUND" in output.err
    assert main(["--list"]) == EXIT_FINE


def test_old_backups_go_and_the_newest_stays(shop: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for _ in range(2):
        assert main([]) == EXIT_FINE
    for archive, days in zip(backups(tmp_path), (16, 15), strict=True):
        about = archive.with_name(f"{archive.name}.json")
        taken_at = (datetime.now(UTC) - timedelta(days=days)).isoformat()
        about.write_text(json.dumps(json.loads(about.read_text()) | {"taken_at": taken_at}))
    old = backups(tmp_path)
    (tmp_path / "backups" / "shop-x.dump.partial").touch()
    assert main([]) == EXIT_FINE
    assert len(backups(tmp_path)) == 1
    assert not set(backups(tmp_path)) & set(old)
    assert not list((tmp_path / "backups").glob("*.partial"))


def test_the_schedule_is_in_the_database(shop: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--schedule", "30 1 * * *"]) == EXIT_FINE
    kept = "SELECT cron, due_at > now(), extract(minute FROM due_at) FROM job_schedules WHERE task = 'back_up'"
    assert rows_of(shop, kept) == [("30 1 * * *", True, 30)]
    assert main(["--schedule", "off"]) == EXIT_FINE
    assert rows_of(shop, kept) == []


def test_the_password_is_no_argument() -> None:
    words, environment = connection_words("postgresql+psycopg2://shop:s3cr3t@db.example.com:5433/shop?sslmode=require")
    assert "s3cr3t" not in words
    assert environment["PGPASSWORD"] == "s3cr3t"
    assert {"host=db.example.com", "port=5433", "user=shop", "dbname=shop", "sslmode=require"} <= set(words.split())


@pytest.mark.parametrize(
    "arguments", [["--yes"], ["--list", "--verify"], ["--schedule", "at noon"], ["--restore"], ["unknown"]]
)
def test_wrong_usage(arguments: list[str]) -> None:
    with pytest.raises(SystemExit):
        main(arguments)


def test_a_database_that_is_away_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql+psycopg2://nobody@127.0.0.1:1/none")
    monkeypatch.setenv("DATA_DIR", str(tmp_path))
    get_settings.cache_clear()
    try:
        assert main([]) == EXIT_CANNOT
        assert main(["--restore", "newest", "--yes"]) == EXIT_CANNOT
    finally:
        get_settings.cache_clear()
    assert capsys.readouterr().err.count("Stopped: ") == 2
    assert backups(tmp_path) == []
