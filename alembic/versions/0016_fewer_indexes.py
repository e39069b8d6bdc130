"""Indexes that serve filters together, and a faster way to the words of a text.

Revision ID: 0016
Revises: 0015
"""

from alembic import op

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None

# Table, first column, and the columns between it and the key, of which there was none before.
_INDEXES = (
    ("products", "category_id", ("in_stock", "active")),
    ("products", "in_stock", ("active",)),
    ("orders", "status", ("delivery_method",)),
    ("orders", "client_id", ("status",)),
    ("bills", "client_id", ("payment_type",)),
)
# Their columns are in the indexes above.
_DROPPED = (("products", "active"), ("orders", "delivery_method"))

# What stands between two words becomes one space. A single space is one already, and each match takes a microsecond.
_GAPS = "[^a-z0-9]+", "[^a-z0-9 ][^a-z0-9]*| [^a-z0-9]+"
# The functions give what they gave: no index and no column has to be made anew. The schema is named, because the search
# path of each call took as long as the words, and rows may be restored without one.
_REPLACE = """
DO $do$
BEGIN
    EXECUTE replace(pg_get_functiondef('search_text(text, boolean)'::regprocedure), $${old}$$, $${new}$$);
END
$do$
"""
_WRITE_SEARCH_NAME = """
DO $do$
BEGIN
    EXECUTE format($function$
CREATE OR REPLACE FUNCTION write_search_name() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.search_name := %I.search_text(NEW.name, true);
    RETURN NEW;
END
$$
$function$, (SELECT pronamespace::regnamespace FROM pg_proc WHERE oid = 'search_text(text, boolean)'::regprocedure));
END
$do$
"""
_WRITE_SEARCH_NAME_BEFORE = """
CREATE OR REPLACE FUNCTION write_search_name() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
    NEW.search_name := search_text(NEW.name, true);
    RETURN NEW;
END
$$
"""


def upgrade() -> None:
    old, new = _GAPS
    op.execute(_REPLACE.format(old=old, new=new))
    op.execute(_WRITE_SEARCH_NAME)
    for table, first, behind in _INDEXES:
        _create(table, first, behind)
    # Last, because from here on nobody reads these tables until the end.
    for table, column in _DROPPED:
        op.drop_index(f"ix_{table}_{column}", table_name=table)
    for table, first, _ in _INDEXES:
        _put_in_place(table, first)


def downgrade() -> None:
    old, new = _GAPS
    op.execute(_REPLACE.format(old=new, new=old))
    op.execute(_WRITE_SEARCH_NAME_BEFORE)
    for table, column in _DROPPED:
        op.create_index(f"ix_{table}_{column}", table, [column, "id_key"])
    for table, first, _ in _INDEXES:
        _create(table, first, ())
    for table, first, _ in _INDEXES:
        _put_in_place(table, first)


def _create(table: str, first: str, behind: tuple[str, ...]) -> None:
    """Create the index beside the one of the same name, which lists are read by meanwhile."""
    op.create_index(f"ix_{table}_{first}_new", table, [first, *behind, "id_key"])


def _put_in_place(table: str, first: str) -> None:
    op.drop_index(f"ix_{table}_{first}", table_name=table)
    op.execute(f"ALTER INDEX ix_{table}_{first}_new RENAME TO ix_{table}_{first}")
