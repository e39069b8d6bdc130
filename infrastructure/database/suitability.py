"""Whether the shop can work with a database at all: found out before its tables are touched, and said in one line."""

from sqlalchemy import text
from sqlalchemy.engine import Connection

_ENCODING = "SELECT current_setting('server_encoding'), current_database()"


class UnsuitableDatabase(RuntimeError):
    """The shop cannot work with the database as it is; the message is one line, which says what to do."""


def require_unicode(connection: Connection) -> None:
    """Raise `UnsuitableDatabase` for a database that cannot hold every text. A database keeps its encoding for good."""
    encoding, name = connection.execute(text(_ENCODING)).one()
    if encoding != "UTF8":
        raise UnsuitableDatabase(
            f"The database {name!r} has the encoding {encoding}, and the shop needs UTF8: create another one with "
            "CREATE DATABASE … ENCODING 'UTF8' LOCALE 'C' TEMPLATE template0, and name it in DATABASE_URL or POSTGRES_DB"
        )
