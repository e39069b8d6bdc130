"""Filters of rows that are their client's by the order to which they belong."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import ARRAY, BigInteger, ColumnElement, bindparam, func, select

from models import Order
from repositories.query.filters import OWNER, OWNER_KEY
from schemas.base import IN_SUFFIX

_NAME = "client_id"
_SEVERAL = f"{_NAME}{IN_SUFFIX}"


def of_clients(order_id: Any) -> Mapping[str, ColumnElement[bool]]:
    """The filters by the client of the order in the column `order_id`: one client, several, and the owner."""
    conditions = {
        _NAME: Order.client_id == bindparam(_NAME),
        _SEVERAL: Order.client_id == func.any(bindparam(_SEVERAL, type_=ARRAY(BigInteger))),
        OWNER: Order.client_id == OWNER_KEY,
    }
    return {name: order_id.in_(select(Order.id_key).where(condition)) for name, condition in conditions.items()}
