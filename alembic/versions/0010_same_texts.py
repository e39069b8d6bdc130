"""Two writings of one text are the same: the function `text_key`, and the indexes that hold what it gives.

Data in which several rows would now have one name are not touched; they are named, and a person decides.

Revision ID: 0010
Revises: 0009
"""

import sys
from collections.abc import Iterator, Sequence
from typing import Any

import sqlalchemy as sa
from alembic import op
from alembic.util import CommandError

from models.text_key import email_key, text_key_sql

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

_SHOWN = 20
_BATCH = 5000

_UNIQUE = (("bills", "bill_number"), ("categories", "name"), ("products", "sku"))
_LISTED = (("addresses", "city"), ("clients", "name"), ("clients", "lastname"))
_BY_LOWER = (*_LISTED, *_UNIQUE)

# What `text_key` alone does not know of addresses: domains in their ASCII form, other full stops, and one at the end.
_BEYOND_TEXT = r"xn--|\u3002|\.$"
_NEW_EMAIL_KEYS = rf"""
    CREATE TEMPORARY TABLE new_email_keys ON COMMIT DROP AS
    SELECT id_key, email, key, key ~ '{_BEYOND_TEXT}' AS is_to_be_made
    FROM (SELECT id_key, email, email_key, text_key(email) AS key FROM clients) AS made
    WHERE key <> email_key OR key ~ '{_BEYOND_TEXT}'
"""
_SAME_EMAILS = """
    SELECT array_agg(id_key ORDER BY id_key), array_agg(clients.email ORDER BY id_key)
    FROM clients LEFT JOIN new_email_keys USING (id_key)
    GROUP BY coalesce(new_email_keys.key, clients.email_key) HAVING count(*) > 1 ORDER BY 1
"""
_SAME = """
    SELECT array_agg(id_key ORDER BY id_key), array_agg({column} ORDER BY id_key)
    FROM {table} WHERE {column} IS NOT NULL GROUP BY text_key({column}) HAVING count(*) > 1 ORDER BY 1
"""
# Numbers that the server will give one day, in another writing.
_RESERVED = """
    SELECT ARRAY[id_key], ARRAY[bill_number] FROM bills
    WHERE text_key(bill_number) ~ '^(bill|credit)-[0-9]{4}-[0-9]{6,}$'
        AND bill_number !~ '^(BILL|CREDIT)-[0-9]{4}-[0-9]{6,}$' ORDER BY 1
"""

# Whoever writes past the shop need not know of keys. Where they are beyond PostgreSQL, `scripts.verify` makes them right.
_FILL_EMAIL_KEY = """
    CREATE FUNCTION fill_email_key() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        NEW.email_key := text_key(NEW.email);
        RETURN NEW;
    END
    $$
"""
_ON_INSERT = """
    CREATE TRIGGER fill_email_key_of_new BEFORE INSERT ON clients
    FOR EACH ROW WHEN (NEW.email_key IS NULL) EXECUTE FUNCTION fill_email_key()
"""
_ON_UPDATE = rf"""
    CREATE TRIGGER fill_email_key_of_changed BEFORE UPDATE OF email ON clients
    FOR EACH ROW WHEN (NEW.email <> OLD.email AND NEW.email_key = OLD.email_key
        AND text_key(NEW.email) !~ '{_BEYOND_TEXT}')
    EXECUTE FUNCTION fill_email_key()
"""


def upgrade() -> None:
    op.execute(text_key_sql())
    op.execute(_NEW_EMAIL_KEYS)
    # As a script (`--sql`) it cannot look: then the unique indexes below refuse what is the same.
    if not op.get_context().as_sql:
        _make_email_keys(op.get_bind())
        _refuse_same_texts(op.get_bind())
    for table, column in _BY_LOWER:
        op.drop_index(f"ix_{table}_{column}_lower", table_name=table)
    for table, column in _LISTED:
        op.create_index(f"ix_{table}_{column}_key", table, [sa.text(f"text_key({column})"), "id_key"])
    for table, column in _UNIQUE:
        op.create_index(f"uq_{table}_{column}_key", table, [sa.text(f"text_key({column})")], unique=True)
    _exchange_email_keys()
    op.drop_index("uq_clients_email", table_name="clients")
    op.create_index("uq_clients_email", "clients", [sa.text("text_key(email)")], unique=True)
    for statement in (_FILL_EMAIL_KEY, _ON_INSERT, _ON_UPDATE):
        op.execute(statement)


def downgrade() -> None:
    op.execute("DROP TRIGGER fill_email_key_of_changed ON clients")
    op.execute("DROP TRIGGER fill_email_key_of_new ON clients")
    op.execute("DROP FUNCTION fill_email_key()")
    op.drop_index("uq_clients_email", table_name="clients")
    op.create_index("uq_clients_email", "clients", [sa.text("lower(email)")], unique=True)
    op.alter_column("clients", "email_key", type_=sa.String(640), postgresql_using="left(email_key, 640)")
    for table, column in _UNIQUE:
        op.drop_index(f"uq_{table}_{column}_key", table_name=table)
    for table, column in _LISTED:
        op.drop_index(f"ix_{table}_{column}_key", table_name=table)
    for table, column in _BY_LOWER:
        op.create_index(f"ix_{table}_{column}_lower", table, [sa.text(f"lower({column})"), "id_key"])
    op.execute("DROP FUNCTION text_key(text)")


def _make_email_keys(connection: sa.Connection) -> None:
    """Put the keys that PostgreSQL cannot make into the table of new ones."""
    wanted = sa.text("SELECT id_key, email FROM new_email_keys WHERE is_to_be_made ORDER BY id_key")
    made = sa.text("UPDATE new_email_keys SET key = :key WHERE id_key = :id_key")
    rows = connection.execute(wanted).all()
    for start in range(0, len(rows), _BATCH):
        keys = [{"id_key": row.id_key, "key": email_key(row.email)} for row in rows[start : start + _BATCH]]
        connection.execute(made, keys)


def _exchange_email_keys() -> None:
    # Without the index meanwhile: one row may get the key that another has had.
    op.drop_constraint(op.f("uq_clients_email_key"), "clients", type_="unique")
    op.alter_column("clients", "email_key", type_=sa.Text())
    op.execute(
        "UPDATE clients SET email_key = made.key FROM new_email_keys AS made "
        "WHERE made.id_key = clients.id_key AND made.key <> clients.email_key"
    )
    op.create_unique_constraint(op.f("uq_clients_email_key"), "clients", ["email_key"])


def _refuse_same_texts(connection: sa.Connection) -> None:
    """Name the first groups of rows that may not stay as they are, if there are any, and raise."""
    found = list(_same_texts(connection))
    if not found:
        return
    # Written here, because whoever tells people of the error makes one paragraph of it, or takes its first line.
    for line in found[:_SHOWN]:
        sys.stderr.write(f"  {line}\n")
    if len(found) > _SHOWN:
        sys.stderr.write(f"  ... and {len(found) - _SHOWN} more\n")
    raise CommandError(
        "Migration 0010 was not done: rows differ only in how a text is written, and are the same from this version on (listed "
        f"above: {len(found)}). Rename or merge them and try again (docs/troubleshooting.md)."
    )


def _same_texts(connection: sa.Connection) -> Iterator[str]:
    yield from _lines("clients.email", connection.execute(sa.text(_SAME_EMAILS)).all())
    for table, column in _UNIQUE:
        same = sa.text(_SAME.format(table=table, column=column))
        yield from _lines(f"{table}.{column}", connection.execute(same).all())
    reserved = connection.exec_driver_sql(_RESERVED).all()
    yield from _lines("bills.bill_number, of the form that the server alone gives", reserved)


def _lines(place: str, groups: Sequence[Any]) -> Iterator[str]:
    for ids, texts in groups:
        yield f"{place}: " + ", ".join(f"{text!r} (id_key {id_key})" for id_key, text in zip(ids, texts, strict=True))
