"""The one place where a constraint of the database becomes a domain error.

Services look before they write, so this speaks up only when two writers raced; then the database
decided, and its verdict is read from the SQLSTATE and the constraint's name, never from its text.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from sqlalchemy.exc import DBAPIError

from config.database import sqlstate
from services.errors import AlreadyExists, AmountTooLarge, Conflict, NotFound

_UNIQUE = "23505"
_FOREIGN_KEY = {"23503", "23001"}
_CHECK = "23514"
_TOO_LARGE = "22003"

# What a unique constraint is about: the thing in messages, and the field of the client's body.
_UNIQUE_FIELDS = {
    "uq_clients_email_key": ("Client", "email"),
    "uq_clients_email": ("Client", "email"),
    "uq_categories_name": ("Category", "name"),
    "uq_products_sku": ("Product", "sku"),
    "uq_bills_bill_number": ("Bill", "bill_number"),
    "uq_orders_bill_id": ("Order", "bill_id"),
}
# What a foreign key points to.
_TARGETS = {
    "client_id": "Client",
    "address_id": "Address",
    "category_id": "Category",
    "product_id": "Product",
    "bill_id": "Bill",
    "refunds_bill_id": "Bill",
    "order_id": "Order",
}


@contextmanager
def violations_of(values: Mapping[str, Any]) -> Iterator[None]:
    """Within it, a violated constraint is raised as the domain error about `values`, the row being written."""
    try:
        yield
    except DBAPIError as error:
        domain_error = _about_write(error, values)
        if domain_error is None:
            raise
        raise domain_error from error


def _about_write(error: DBAPIError, values: Mapping[str, Any]) -> Exception | None:
    code = sqlstate(error)
    if code == _TOO_LARGE:
        return AmountTooLarge()
    constraint = _constraint(error)
    if code == _UNIQUE and constraint in _UNIQUE_FIELDS:
        thing, field = _UNIQUE_FIELDS[constraint]
        return AlreadyExists(thing, field, values.get(field))
    if code in _FOREIGN_KEY:
        for field, thing in _TARGETS.items():
            if constraint.startswith("fk_") and f"_{field}_" in constraint:
                return NotFound(thing, values.get(field))
    if code == _CHECK:
        return Conflict("The change breaks a rule of the database")
    return None


@contextmanager
def references_to(thing: str, row_id: int) -> Iterator[None]:
    """Within it, the deletion of a row that others still point to is raised as a conflict."""
    try:
        yield
    except DBAPIError as error:
        if sqlstate(error) not in _FOREIGN_KEY:
            raise
        table = getattr(getattr(error.orig, "diag", None), "table_name", None) or "other rows"
        raise Conflict(f"Cannot delete {thing.lower()} {row_id}: it still has {table.replace('_', ' ')}") from error


def _constraint(error: DBAPIError) -> str:
    return getattr(getattr(error.orig, "diag", None), "constraint_name", None) or ""
