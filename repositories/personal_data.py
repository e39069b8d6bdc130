"""What the shop knows of a client, read and erased by the table of `models.personal_data`."""

from collections.abc import Iterator

from sqlalchemy import text
from sqlalchemy.orm import Session

from models import Base
from models.audited_fields import SECRET
from models.personal_data import ROWS_OF_A_CLIENT, Holds, columns_that_hold

# Resources whose fields events and audit entries copy.
_COPIED = ("clients", "users", "addresses", "reviews", "orders", "payments", "shipments", "returns")
# A document is kept for so many years from the day of its bill.
_KEPT = (
    "SELECT orders.id_key FROM orders JOIN bills ON bills.id_key = orders.bill_id "
    "WHERE orders.client_id = :client AND bills.date >= CURRENT_DATE - make_interval(years => :years)"
)
# How the rows of documents refer to their order.
_ORDER_OF = {
    "orders": "id_key",
    "shipments": "order_id",
    "returns": "order_id",
    "payments": "(SELECT id_key FROM orders WHERE orders.bill_id = payments.bill_id)",
}


class PersonalDataRepository:
    """The rows of one client, in all tables."""

    def __init__(self, session: Session, client_id: int) -> None:
        self.session, self._client = session, {"client": client_id}

    def may_write_the_trail(self) -> bool:
        """Whether the role is the owner of the audit trail, the only one who may change it."""
        owner = "SELECT pg_has_role(relowner, 'MEMBER') FROM pg_class WHERE oid = 'audit_entries'::regclass"
        return bool(self.session.execute(text(owner)).scalar_one())

    def export(self) -> Iterator[tuple[str, list[str]]]:
        """Each table with its rows as JSON texts, in the order of their keys, without what is secret."""
        for table, condition in ROWS_OF_A_CLIENT.items():
            columns = Base.metadata.tables[table].c
            secrets = [column.name for column in columns if SECRET.items() <= column.info.items()]
            key = next(iter(Base.metadata.tables[table].primary_key)).name
            order = "position" if table == "events" else key
            rows = text(
                f"SELECT (to_jsonb(t) - CAST(:secrets AS text[]))::text FROM (SELECT * FROM {table} WHERE {condition}) AS t "  # noqa: S608 (our own names)
                f"ORDER BY {order}"
            )
            yield table, list(self.session.scalars(rows, {**self._client, "secrets": secrets}))

    def scrub_copies(self) -> dict[str, int]:
        """Empty what events and audit entries have copied of personal fields; how many rows of each were changed."""
        changed = {"events": 0, "audit_entries": 0}
        for resource in _COPIED:
            fields = columns_that_hold(resource, Holds.PERSON, Holds.DOCUMENT)
            changed["events"] += self._scrub("events", "data", "json", "null", resource, fields)
            changed["audit_entries"] += self._scrub(
                "audit_entries", "changes", "jsonb", "[null, null]", resource, fields
            )
        by_user = text(
            "UPDATE audit_entries SET address = NULL WHERE address IS NOT NULL "
            "AND actor IN (SELECT 'user:' || id_key FROM users WHERE client_id = :client)"
        )
        changed["audit_entries"] += self._changed(by_user)
        return changed

    def erase_rows(self, table: str) -> int:
        """Delete the client's rows of a table; how many there were."""
        return self._changed(text(f"DELETE FROM {table} WHERE {ROWS_OF_A_CLIENT[table]}"))  # noqa: S608 (our own names)

    def erase_comments(self) -> None:
        """Empty what the client has written about products; the stars stay."""
        self._changed(text("UPDATE reviews SET comment = NULL WHERE client_id = :client AND comment IS NOT NULL"))

    def erase_documents(self, years: int) -> int:
        """Empty the personal columns of documents that need not be kept any more; how many rows were changed."""
        erased = 0
        for table, order in _ORDER_OF.items():
            columns = columns_that_hold(table, Holds.DOCUMENT)
            statement = text(
                f"UPDATE {table} SET {', '.join(f'{column} = NULL' for column in columns)} "  # noqa: S608 (our own names)
                f"WHERE ({ROWS_OF_A_CLIENT[table]}) AND ({' OR '.join(f'{column} IS NOT NULL' for column in columns)}) "
                f"AND coalesce({order} NOT IN ({_KEPT}), true)"
            )
            erased += self._changed(statement, years=years)
        return erased

    def _scrub(self, table: str, column: str, kind: str, empty: str, resource: str, fields: list[str]) -> int:
        """Empty these members of the copies of a resource, if one of them is filled."""
        statement = text(
            f"UPDATE {table} SET {column} = (SELECT {kind}_object_agg(key, CASE WHEN key = ANY(:fields) "  # noqa: S608 (our own names)
            f"THEN CAST(:empty AS {kind}) ELSE value END) FROM {kind}_each({column})) "
            f"WHERE resource = :resource AND ({ROWS_OF_A_CLIENT[table]}) AND EXISTS (SELECT FROM {kind}_each({column}) "
            "WHERE key = ANY(:fields) AND value::text <> :empty)"
        )
        return self._changed(statement, resource=resource, fields=fields, empty=empty)

    def _changed(self, statement: object, **parameters: object) -> int:
        return int(self.session.execute(statement, {**self._client, **parameters}).rowcount)  # type: ignore[call-overload]
