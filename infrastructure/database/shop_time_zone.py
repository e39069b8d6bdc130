"""The shop's time zone, as the database knows it: the function `shop_time_zone()`, by which bills get their dates.

All programs that write to the database have the same one, whatever their settings say. Unlike a constant of the schema it
may change at any time: it decides about new bills only.
"""

from sqlalchemy import text
from sqlalchemy.engine import Connection
from sqlalchemy.exc import DBAPIError

from infrastructure.database.suitability import UnsuitableDatabase

_STORED = text("SELECT shop_time_zone()")
_NOW_THERE = text("SELECT now() AT TIME ZONE :time_zone")
# Its name has been validated. Not immutable: a prepared statement would keep the old one.
_REPLACE = "CREATE OR REPLACE FUNCTION shop_time_zone() RETURNS text LANGUAGE sql STABLE PARALLEL SAFE AS $$ SELECT '{zone}'::text $$"


def settle_time_zone(connection: Connection, time_zone: str) -> None:
    """Make `time_zone` that of the shop. Nobody else settles it meanwhile.

    Raises `UnsuitableDatabase` for one that PostgreSQL does not know.
    """
    if connection.execute(_STORED).scalar_one() != time_zone:
        try:
            connection.execute(_NOW_THERE, {"time_zone": time_zone})
        except DBAPIError as error:
            raise UnsuitableDatabase(
                f"SHOP_TIMEZONE is {time_zone}, which this PostgreSQL does not know: name another zone, or update PostgreSQL"
            ) from error
        connection.execute(text(_REPLACE.format(zone=time_zone)))
    connection.commit()
