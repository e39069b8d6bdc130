"""The shop's time zone, as the database knows it: the function `shop_time_zone()`, by which bills get their dates.

All programs that write to the database have the same one, whatever their settings say. Unlike a constant of the schema it
may change at any time: it decides about new bills only.
"""

from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from infrastructure.database.migration_steps import limit_waits, one_at_a_time
from infrastructure.database.migrations import maintenance_connection
from infrastructure.database.stoppable import Cancellation
from infrastructure.database.suitability import UnsuitableDatabase

_STORED = text("SELECT shop_time_zone()")
_NOW_THERE = text("SELECT now() AT TIME ZONE :time_zone")
# Its name has been validated. Not immutable: a prepared statement would keep the old one.
_REPLACE = "CREATE OR REPLACE FUNCTION shop_time_zone() RETURNS text LANGUAGE sql STABLE PARALLEL SAFE AS $$ SELECT '{zone}'::text $$"


def settle_time_zone(database_url: str, time_zone: str, cancellation: Cancellation | None = None) -> None:
    """Make `time_zone` that of the shop; the database has all migrations.

    Raises `UnsuitableDatabase` for one that PostgreSQL does not know.
    """
    cancellation = cancellation or Cancellation()
    with maintenance_connection(database_url) as connection, cancellation.covering(connection):
        if connection.execute(_STORED).scalar_one() == time_zone:
            return
        try:
            connection.execute(_NOW_THERE, {"time_zone": time_zone})
        except DBAPIError as error:
            raise UnsuitableDatabase(
                f"SHOP_TIMEZONE is {time_zone}, which this PostgreSQL does not know: name another zone, or update PostgreSQL"
            ) from error
        connection.rollback()
        with one_at_a_time(connection):
            limit_waits(connection)
            connection.execute(text(_REPLACE.format(zone=time_zone)))
            connection.commit()
