"""Kept answers: large ones go in and come out in pieces, and are the same."""

import hashlib
from collections.abc import Iterator

import pytest
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.orm import Session

from infrastructure.database.migrations import maintenance_engine
from infrastructure.embedded.servers import ServerUrls
from repositories.idempotency_key import IdempotencyKeyRepository
from tests.race.databases import new_database

pytestmark = pytest.mark.integration

DIGEST = hashlib.sha256(b"\\x00\t\n").digest()
HEADERS = {"Content-Type": "application/json", "Odd": '\\t \\\\x "\n€'}


@pytest.fixture(scope="module")
def migrated(servers: ServerUrls) -> str:
    return new_database(servers.database_url)


@pytest.fixture
def session(migrated: str) -> Iterator[Session]:
    engine = maintenance_engine(migrated)
    try:
        with Session(engine) as session:
            yield session
    finally:
        engine.dispose()


@pytest.mark.parametrize("key", ["plain", r"\N", r"\.", r"a\tb\\x", "'%s"])
@pytest.mark.parametrize("size", [0, 1, 256 * 1024, 256 * 1024 + 1, 2 * 1024 * 1024, 5_000_001])
def test_an_answer_of_any_size_is_found_as_it_was(session: Session, key: str, size: int) -> None:
    body = hashlib.shake_256(key.encode()).digest(size)
    keys = IdempotencyKeyRepository(session)
    keys.keep(key, DIGEST, 201, HEADERS, body)
    kept = keys.find(key)
    assert kept is not None
    assert (bytes(kept.fingerprint), kept.status, kept.headers) == (DIGEST, 201, HEADERS)
    assert keys.body(key, kept) == body


@pytest.mark.parametrize("size", [10, 1_000_000])
def test_what_is_refused_is_the_same_error_for_any_size(session: Session, size: int) -> None:
    keys = IdempotencyKeyRepository(session)
    keys.keep("twice", DIGEST, 201, {}, b"x" * size)
    with pytest.raises(IntegrityError) as refusal:
        keys.keep("twice", DIGEST, 201, {}, b"y" * size)
    assert getattr(refusal.value.orig, "pgcode", None) == "23505"


def test_a_connection_that_breaks_is_published_as_one(session: Session) -> None:
    keys = IdempotencyKeyRepository(session)
    driver = session.connection().connection.driver_connection
    assert driver is not None
    process = driver.info.backend_pid
    with session.get_bind().engine.connect() as other:
        other.exec_driver_sql(f"SELECT pg_terminate_backend({process}, 5000)")
    with pytest.raises(DBAPIError) as lost:
        keys.keep("lost", DIGEST, 201, {}, b"x" * 1_000_000)
    assert lost.value.connection_invalidated
    session.invalidate()
