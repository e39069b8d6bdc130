"""The startup report in the log: which database, which migration and which Redis; one line each."""

import asyncio
import logging
from dataclasses import asdict
from urllib.parse import parse_qs, urlsplit

from config.release import STARTED_AT, Build, host_name
from infrastructure.cache.gateway import RedisGateway, RedisUnavailable
from infrastructure.database.database_url import name_of
from infrastructure.database.engine import Database
from infrastructure.database.migrations import Schema, heads, named
from infrastructure.database.prepared import Prepared
from infrastructure.database.sqlstate import DatabaseUnavailable, StatementRefused
from repositories.release import NOTE_RELEASE
from repositories.standing import ANY_ADMINISTRATOR

log = logging.getLogger("shop.start")

_RETRY_SECONDS = 1.0
_VERSION = Prepared("version", "SELECT current_setting('server_version')")


async def report_start(
    database: Database, gateway: RedisGateway, redis_url: str | None, build: Build, *, needs_administrator: bool
) -> None:
    """Log the report, and note in the database who has started what. The database is waited for."""
    log.info("Redis: %s", await _redis(gateway, redis_url))
    version, schema = await _database(database)
    usage = {kind: pool.size for kind, pool in database.usage().items()}
    log.info(
        "Database: PostgreSQL %s, %s; %d threads, a write pool of %d connections, a read pool of %d",
        version,
        name_of(database.url),
        usage["threads"],
        usage["lanes"],
        usage["read_lanes"],
    )
    log.info("Migrations: at revision %s%s", schema.name, _difference(schema))
    await _note(database, build, schema)
    if needs_administrator and await _lacks_administrator(database):
        log.warning(
            "There is no active administrator; this makes one: python -m scripts.users create-admin --email ADDRESS"
        )


async def _database(database: Database) -> tuple[str, Schema]:
    while True:
        try:
            rows = await database.probe.ask(_VERSION)
            # Versions from packages have the packager's name behind them.
            version = str(rows[0][0]).partition(" ")[0] if rows else "of an unknown version"
            schema, _ = await database.state()
            if schema is not None:
                return version, schema
        except DatabaseUnavailable:
            pass
        await asyncio.sleep(_RETRY_SECONDS)


async def _note(database: Database, build: Build, schema: Schema) -> None:
    """Write the start down, if the database takes it now: the shop serves all the same."""
    about = {"schema_revision": schema.name, "host": host_name()[:255], "started_at": STARTED_AT}
    try:
        await database.write_pool.execute(NOTE_RELEASE, {**asdict(build), **about})
    except (DatabaseUnavailable, StatementRefused) as error:
        log.debug("The start is not noted: %s", error)


async def _lacks_administrator(database: Database) -> bool:
    try:
        rows = await database.probe.ask(ANY_ADMINISTRATOR)
    except DatabaseUnavailable:
        return False
    return rows is not None and not rows


def _difference(schema: Schema) -> str:
    if not schema.has_every_migration:
        return f", and this release needs {named(heads())}"
    return f", by a newer release than this one ({named(heads())})" if schema.is_newer else ""


async def _redis(gateway: RedisGateway, url: str | None) -> str:
    if url is None:
        return "switched off, nothing is cached"
    try:
        info = await gateway.call("INFO", "server")
    except RedisUnavailable as error:
        return f"{_location(url)} does not answer ({error})"
    members = dict(line.split(":", 1) for line in info.decode(errors="replace").splitlines() if ":" in line)
    name, version = ("Valkey", members.get("valkey_version")) if "valkey_version" in members else ("Redis", None)
    return f"{name} {version or members.get('redis_version', 'of an unknown version')}, {_location(url)}"


def _location(url: str) -> str:
    """The address of Redis and the number of its database, without user name and password."""
    parts = urlsplit(url)
    number = parse_qs(parts.query).get("db", ["0"])[0]
    if parts.scheme == "unix":
        return f"database {number} on {parts.path}"
    return f"database {parts.path.strip('/') or number} on {parts.hostname}:{parts.port or 6379}"
