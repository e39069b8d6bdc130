"""The shop's country, as the database knows it: the function `shop_country()`, by which is taxed what goes to no address.

All programs that write to the database have the same one, whatever their settings say. It may change at any time: it
decides about new orders only.
"""

from sqlalchemy import text
from sqlalchemy.engine import Connection

_STORED = text("SELECT shop_country()")
# Its code has been validated. Not immutable: a prepared statement would keep the old one.
_REPLACE = "CREATE OR REPLACE FUNCTION shop_country() RETURNS text LANGUAGE sql STABLE PARALLEL SAFE AS $$ SELECT '{country}'::text $$"


def settle_country(connection: Connection, country: str) -> None:
    """Make `country` that of the shop. Nobody else settles it meanwhile."""
    if connection.execute(_STORED).scalar_one() != country:
        connection.execute(text(_REPLACE.format(country=country)))
    connection.commit()
