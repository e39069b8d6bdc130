"""The engine of the sessions in a worker's database threads: what their connections are opened with, and bounded by."""

from typing import Any

import psycopg2
from sqlalchemy import Engine, create_engine, event
from sqlalchemy.engine import Dialect

from config.settings import Settings
from infrastructure.database.change_listener import NOTIFIES_CACHES
from infrastructure.database.connection_options import connection_options
from infrastructure.database.exact_json import read_json, write_json
from infrastructure.database.host_order import host_order
from infrastructure.database.refusal import name_if_full
from infrastructure.database.sessions import answered_soon, set_up
from infrastructure.database.statement_limits import bound_locks, timeouts, watch
from infrastructure.database.threads import follow
from infrastructure.database.waiting_pool import WaitingPool

# How many statements are kept compiled, and half as many again until the oldest go; each takes up to 150 kB.
_COMPILED_STATEMENTS = 120
# How alike words must be for the search to forgive a typing error (pg_trgm).
_LIKENESS = "SET pg_trgm.word_similarity_threshold = 0.4"


def session_engine(url: str, settings: Settings) -> Engine:
    """An engine whose connections are waited for, bounded by the timeouts of `settings`, and do what the shop relies on."""
    engine = create_engine(
        url,
        poolclass=WaitingPool,
        pool_size=settings.db_pool_size,
        max_overflow=settings.db_max_overflow,
        pool_timeout=settings.db_pool_timeout,
        pool_recycle=settings.db_pool_recycle,
        echo=settings.db_echo,
        hide_parameters=True,
        query_cache_size=_COMPILED_STATEMENTS,
        connect_args=connection_options(url, "shop"),
        json_deserializer=read_json,
        json_serializer=write_json,
        # A question for each new connection that nobody needs.
        use_native_hstore=False,
    )
    follow(engine)
    seconds = {
        "statement_timeout": settings.db_statement_timeout,
        "lock_timeout": settings.db_lock_timeout,
        "idle_in_transaction_session_timeout": 60.0,
    }
    first = f"{_LIKENESS}; {NOTIFIES_CACHES}; {timeouts(seconds)}"

    hosts = host_order(url)

    def connect(dialect: Dialect, record: Any, positional: list[Any], named: dict[str, Any]) -> Any:
        try:
            connection = dialect.connect(*positional, **(named | hosts.options()))
        except psycopg2.OperationalError as error:
            name_if_full(error, url)
            raise
        hosts.note_reached(connection.info.host, connection.info.port)
        with answered_soon(connection):
            set_up(connection, first)
        return connection

    event.listen(engine, "do_connect", connect)
    watch(engine)
    bound_locks(engine, settings)
    return engine
