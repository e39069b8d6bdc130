"""The shop's one currency, as the database knows it: the function `shop_currency()`, the default of every column with it.

A function that returns a constant costs no statement anything, and all programs that write to the database have the
same one, whatever their settings say.
"""

from sqlalchemy import text
from sqlalchemy.engine import Connection

from infrastructure.database.migration_steps import run_retried
from infrastructure.database.stoppable import Cancellation
from infrastructure.database.suitability import UnsuitableDatabase

_STORED = text("SELECT shop_currency()")
_SOLD = text("SELECT EXISTS (SELECT FROM bills) OR EXISTS (SELECT FROM order_details)")
_LOCK = text("LOCK TABLE products, order_details, bills, orders")
# Only letters: the setting has been validated.
_REPLACE = (
    "CREATE OR REPLACE FUNCTION shop_currency() RETURNS varchar LANGUAGE sql IMMUTABLE PARALLEL SAFE "
    "AS $$ SELECT '{currency}'::varchar $$"
)
# Prepared statements hold the constant until something of their table changes, such as a default that stays the same.
_PLAN_ANEW = "ALTER TABLE {table} ALTER COLUMN currency SET DEFAULT shop_currency()"
_UPDATE = text("UPDATE products SET currency = shop_currency()")


def settle_currency(connection: Connection, currency: str, cancellation: Cancellation) -> None:
    """Make `currency` that of the shop, as long as nothing was sold. Nobody else settles it meanwhile.

    Raises `UnsuitableDatabase` for another one than what was sold in, before anybody is kept waiting.
    """
    if not _is_settled(connection, currency):
        connection.rollback()
        run_retried(lambda: _settle(connection, currency), connection, cancellation)
    connection.rollback()


def _settle(connection: Connection, currency: str) -> None:
    connection.execute(_LOCK)
    if not _is_settled(connection, currency):
        connection.execute(text(_REPLACE.format(currency=currency)))
        for table in ("products", "bills", "orders"):
            connection.execute(text(_PLAN_ANEW.format(table=table)))
        connection.execute(_UPDATE)
    connection.commit()


def _is_settled(connection: Connection, currency: str) -> bool:
    """Whether the shop has the currency. Raises `UnsuitableDatabase` where it has another one, for good."""
    stored = connection.execute(_STORED).scalar_one()
    if stored == currency:
        return True
    if connection.execute(_SOLD).scalar_one():
        raise UnsuitableDatabase(
            f"CURRENCY is {currency}, but this shop has sold in {stored}, and its currency is fixed: set CURRENCY={stored}"
        )
    return False
