"""Enumerations on the wire: numbers or words with names, each a component of OpenAPI, and their parsing.

Responses hold the value. Bodies and filters take the value, or its name in upper or lower case.
"""

from collections.abc import Callable, Sequence
from enum import Enum
from functools import partial
from typing import Annotated, Any

from pydantic import BeforeValidator, WithJsonSchema

from models.bill import BillKind as _BillKind
from models.bill import CreditReason as _CreditReason
from models.bill import PaymentStatus as _PaymentStatus
from models.bill import PaymentType as _PaymentType
from models.client import Channel as _Channel
from models.client import Language as _Language
from models.daily_sales import SalesGroup as _SalesGroup
from models.job import JobStatus as _JobStatus
from models.notification import NotificationKind as _NotificationKind
from models.notification import NotificationStatus as _NotificationStatus
from models.order import DeliveryMethod as _DeliveryMethod
from models.order import OrderStatus as _OrderStatus
from models.payment import PaymentMethod as _PaymentMethod
from models.stock_movement import StockReason as _StockReason
from models.tax_class import VatCategory as _VatCategory
from models.webhook import DeliveryStatus as _DeliveryStatus
from schemas.field_types import as_integer, refusal
from security.scopes import Role as _Role
from security.scopes import Scope as _Scope

VARNAMES = "x-enum-varnames"
# The enumerations with a component, registered by `_field_type`.
_kinds: list[type[Enum]] = []
# The keys of the schema that belong to the enumeration; other keys belong to the place where it is used.
COMPONENT_KEYS = frozenset({"title", "type", "enum", "anyOf", VARNAMES})


def components() -> dict[str, dict[str, Any]]:
    """The schemas of all enumerations by name; for numbers also those of their names, and of both together."""
    found = {kind.__name__: schema_of(kind) | {"description": _description(kind)} for kind in _kinds}
    for kind in _kinds:
        if issubclass(kind, int):
            names, both = _names_of(kind), request_schema_of(kind)
            found[names["title"]] = names | {"description": f"The names of {kind.__name__}, in upper or lower case."}
            parts = [{"$ref": f"#/components/schemas/{part['title']}"} for part in both["anyOf"]]
            found[both["title"]] = both | {"anyOf": parts, "description": f"{kind.__name__} as a number or a name."}
    return found


def schema_of(kind: type[Enum]) -> dict[str, Any]:
    """The schema of an enumeration wherever it is used; `controllers.openapi.document` puts a reference in its place."""
    values = [member.value for member in kind]
    type_of_values = "integer" if isinstance(values[0], int) else "string"
    return {
        "title": kind.__name__,
        "type": type_of_values,
        "enum": values,
        VARNAMES: [member.name for member in kind],
    }


def request_schema_of(kind: type[Enum]) -> dict[str, Any]:
    """The schema of an enumeration in bodies and filters, which take names beside numbers."""
    value = schema_of(kind)
    both = {"title": f"{kind.__name__}OrName", "anyOf": [value, _names_of(kind)]}
    return both if issubclass(kind, int) else value


def _names_of(kind: type[Enum]) -> dict[str, Any]:
    return {"title": f"{kind.__name__}Name", "type": "string", "enum": [member.name for member in kind]}


def _description(kind: type[Enum]) -> str:
    meaning = (kind.__doc__ or "").strip()
    if issubclass(kind, int):
        meaning += f" {', '.join(_labels(list(kind)))}."
    return f"{meaning} Bodies and filters take the names as well, in upper or lower case."


def _labels(members: Sequence[Enum]) -> list[str]:
    """The members as messages show them."""
    return [f"{it.value} ({it.name})" if isinstance(it.value, int) else str(it.value) for it in members]


def member_parser(members: Sequence[Enum], *, digits: bool = False) -> Callable[[Any], Any]:
    """A parser for the value of one of `members`; with `digits` also from a number written as text."""
    values = {member.value: member.value for member in members}
    texts = {member.name.lower(): member.value for member in members}
    texts |= {str(value).lower(): value for value in values if digits or isinstance(value, str)}
    message = f"must be one of {', '.join(_labels(members))}"
    return partial(_parse_member, values, texts, message)


def _parse_member(values: dict[Any, Any], texts: dict[str, Any], message: str, value: Any) -> Any:
    given = as_integer(value)
    member = None
    if isinstance(given, str):
        member = texts.get(given.strip().lower())
    elif type(given) is int:
        member = values.get(given)
    if member is None:
        raise refusal(message)
    return member


def _field_type(kind: type[Enum]) -> tuple[Any, ...]:
    """The annotations of a field of the enumeration, which becomes a component."""
    _kinds.append(kind)
    return (
        BeforeValidator(member_parser(list(kind))),
        WithJsonSchema(request_schema_of(kind), mode="validation"),
        WithJsonSchema(schema_of(kind), mode="serialization"),
    )


OrderStatus = Annotated[int, *_field_type(_OrderStatus)]
DeliveryMethod = Annotated[int, *_field_type(_DeliveryMethod)]
PaymentMethod = Annotated[str, *_field_type(_PaymentMethod)]
PaymentStatus = Annotated[str, *_field_type(_PaymentStatus)]
PaymentType = Annotated[str, *_field_type(_PaymentType)]
BillKind = Annotated[str, *_field_type(_BillKind)]
CreditReason = Annotated[str, *_field_type(_CreditReason)]
SalesGroup = Annotated[str, *_field_type(_SalesGroup)]
StockReason = Annotated[str, *_field_type(_StockReason)]
VatCategory = Annotated[str, *_field_type(_VatCategory)]
Role = Annotated[str, *_field_type(_Role)]
Scope = Annotated[str, *_field_type(_Scope)]
JobStatus = Annotated[str, *_field_type(_JobStatus)]
Language = Annotated[str, *_field_type(_Language)]
DeliveryStatus = Annotated[str, *_field_type(_DeliveryStatus)]
Channel = Annotated[str, *_field_type(_Channel)]
NotificationKind = Annotated[str, *_field_type(_NotificationKind)]
NotificationStatus = Annotated[str, *_field_type(_NotificationStatus)]

# The reasons that a client may name.
_BY_HAND = (_StockReason.RECEIPT, _StockReason.EDIT)
StockReasonByHand = Annotated[
    str,
    BeforeValidator(member_parser(_BY_HAND)),
    WithJsonSchema({"allOf": [schema_of(_StockReason)], "enum": [reason.value for reason in _BY_HAND]}),
]
