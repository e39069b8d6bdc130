"""What the database knows of the shop's settings: its currency, its time zone and its country, as functions of SQL.

All programs that write to the database have the same ones, whatever their settings say.
"""

from sqlalchemy import text

from infrastructure.database.migration_steps import limit_waits, one_at_a_time
from infrastructure.database.migrations import maintenance_connection
from infrastructure.database.shop_country import settle_country
from infrastructure.database.shop_currency import settle_currency
from infrastructure.database.shop_time_zone import settle_time_zone
from infrastructure.database.stoppable import Cancellation

# No table: a transaction that has read one could stand in the way of a start that locks several.
_STORED = text("SELECT shop_currency(), shop_time_zone(), shop_country()")


def settle_shop(
    database_url: str, *, currency: str, time_zone: str, country: str, cancellation: Cancellation | None = None
) -> None:
    """Make currency, time zone and country those of the shop. The database has all migrations.

    Those that start at once do it one after the other, and what is as it should be costs one statement. Raises
    `UnsuitableDatabase` for another currency than what was sold in, and for a time zone that PostgreSQL does not know.
    """
    cancellation = cancellation or Cancellation()
    with maintenance_connection(database_url) as connection, cancellation.covering(connection):
        stored = tuple(connection.execute(_STORED).one())
        connection.rollback()
        if stored == (currency, time_zone, country):
            return
        with one_at_a_time(connection):
            limit_waits(connection)
            settle_currency(connection, currency, cancellation)
            settle_time_zone(connection, time_zone)
            settle_country(connection, country)
