"""Connections that the event loop waits for: psycopg 3 opens them, and libpq's own calls execute prepared statements.

What is opened seldom takes psycopg's `AsyncConnection` as it is. What is executed for every request goes past its
cursors and locks, which cost more than all the rest: libpq sends without waiting, and is asked for the answer whenever
the socket has something. Statements are prepared by messages of the protocol, and not by SQL, so that a PgBouncer in
between can follow.
"""

import asyncio
import os
import socket
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from psycopg import AsyncConnection, DataError, OperationalError
from psycopg.abc import Transformer as AnyTransformer
from psycopg.adapt import PyFormat, Transformer
from psycopg.conninfo import make_conninfo
from psycopg.errors import error_from_result
from psycopg.pq import ExecStatus
from psycopg.pq.abc import PGresult
from psycopg.types.json import set_json_loads

from infrastructure.database.connection_options import SESSION_SETTINGS, connection_options
from infrastructure.database.database_url import target_of
from infrastructure.database.datetimes import read_far_datetimes
from infrastructure.database.exact_json import read_json
from infrastructure.database.host_order import host_order
from infrastructure.database.prepared import Parameters, Prepared, Row
from infrastructure.database.refusal import name_if_full
from infrastructure.database.sessions import FIRST_ANSWER_SECONDS

# So many statements stay prepared on a connection. PostgreSQL keeps each in the memory of the connection's process, with
# its plan: some 100 kB. Those that the shop needs all the time are fewer.
MOST_PREPARED = 80

_DONE = (ExecStatus.TUPLES_OK, ExecStatus.COMMAND_OK)


async def connect(url: str, first: str, name: str = "shop") -> AsyncConnection[Row]:
    """A new connection, which PostgreSQL knows by `name`, with the shop's settings, after the statements `first`.

    Every statement is a transaction by itself. Raises psycopg's errors.
    """
    # With all that libpq would find out by itself: psycopg looks the hosts up, and overlooks those of a service.
    target = make_conninfo("", **{**target_of(url).options, **connection_options(url, name)})
    try:
        connection = await AsyncConnection.connect(target, autocommit=True, prepare_threshold=None)
    except OperationalError as error:
        await asyncio.to_thread(name_if_full, error, url)
        raise
    host_order(url).note_reached(connection.info.host, connection.info.port)
    try:
        with cut_after(connection, FIRST_ANSWER_SECONDS, "no place for a new connection: its first statement waits"):
            await connection.execute(f"{SESSION_SETTINGS}; {first}")
    except BaseException:
        await connection.close()
        raise
    return connection


@contextmanager
def cut_after(connection: AsyncConnection[Row], seconds: float, reason: str) -> Iterator[None]:
    """Break the connection when the block takes so long: what waits in it raises an error for this reason then.

    To cancel what waits would not do: psycopg would wait on for the answer, which may never come.
    """
    timer = asyncio.get_running_loop().call_later(seconds, _cut, connection)
    try:
        yield
    except OperationalError as error:
        if timer.when() <= asyncio.get_running_loop().time():
            raise OperationalError(reason) from error
        raise
    finally:
        timer.cancel()


def _cut(connection: AsyncConnection[Row]) -> None:
    with suppress(OSError, OperationalError), socket.socket(fileno=os.dup(connection.fileno())) as shut:
        shut.shutdown(socket.SHUT_RDWR)


class PreparedConnection:
    """A connection that executes prepared statements, one at a time, and never waits.

    Whoever has it calls `execute`, after `prepare` if need be, then `flush` whenever the socket `descriptor` lets more
    out, and `receive` whenever something has come.
    """

    def __init__(self, connection: AsyncConnection[Row]) -> None:
        self._pgconn = connection.pgconn
        self.descriptor = self._pgconn.socket
        set_json_loads(read_json, connection)
        self._transformer = Transformer(connection)
        with_far_datetimes = connection.cursor()
        read_far_datetimes(with_far_datetimes.adapters)
        self._far_transformer = Transformer(with_far_datetimes)
        # The names of what is prepared, the last one used at the end; and of what will be when the answer is there.
        self._prepared: OrderedDict[str, None] = OrderedDict()
        self._preparing: str | None = None
        self._result: PGresult | None = None

    def has_prepared(self, statement: Prepared) -> bool:
        """Whether the statement can be executed, which counts as used now."""
        if statement.name not in self._prepared:
            return False
        self._prepared.move_to_end(statement.name)
        return True

    def prepare(self, statement: Prepared) -> None:
        """Send what the preparation takes next: to be called again, after the answer, until it `has_prepared` it."""
        if len(self._prepared) < MOST_PREPARED:
            self._preparing = statement.name
            self._pgconn.send_prepare(statement.name.encode(), statement.text.encode())
        else:
            longest_unused, _ = self._prepared.popitem(last=False)
            self._pgconn.send_close_prepared(longest_unused.encode())

    def execute(self, statement: Prepared, parameters: Parameters) -> None:
        """Send a prepared statement. PostgreSQL takes the values as texts, of the types that the statement has for them."""
        values = [parameters[name] for name in statement.parameters]
        texts = self._transformer.dump_sequence(values, [PyFormat.TEXT] * len(values))
        self._pgconn.send_query_prepared(statement.name.encode(), texts)

    def flush(self) -> bool:
        """Send on as far as the socket lets; whether that was all."""
        return self._pgconn.flush() == 0

    def receive(self) -> list[Row] | None:
        """The rows of the answer, which may be none; None while there is no whole answer. Raises the error that came."""
        self._pgconn.consume_input()
        while not self._pgconn.is_busy():
            result = self._pgconn.get_result()
            if result is None:
                return self._answer()
            if self._result is None:
                self._result = result
        return None

    def _answer(self) -> list[Row] | None:
        result, self._result = self._result, None
        prepared, self._preparing = self._preparing, None
        if result is None:
            return None
        if result.status not in _DONE:
            raise error_from_result(result)
        if prepared is not None:
            self._prepared[prepared] = None
        try:
            return _rows(result, self._transformer)
        except DataError:
            # Dates beyond Python's, of which there are next to none, or something that nobody can read.
            return _rows(result, self._far_transformer)

    def close(self) -> None:
        """Close the connection."""
        self._pgconn.finish()


def _rows(result: PGresult, transformer: AnyTransformer) -> list[Row]:
    transformer.set_pgresult(result)
    return transformer.load_rows(0, result.ntuples, tuple)
