"""What a search for orders finds: its words in the numbers of order and bill, in its client, and in its products.

Each word may stand in another of these. The SQL function `find_orders` (migration 0022) begins with the word that fewest
orders have, and looks at a bounded number of orders.
"""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import (
    BigInteger,
    BinaryExpression,
    ColumnElement,
    Select,
    cast,
    false,
    func,
    literal_column,
    null,
    select,
)
from sqlalchemy.sql import operators

from models import Order
from repositories.query.list_shape import Ranking
from repositories.searched_words import asked


def _few(among: Sequence[ColumnElement[bool]]) -> Select[int]:
    # As one array, which is made once: the orders are then looked up by their keys.
    keys = select(func.find_orders(asked, cast(_client_in(among), BigInteger))).scalar_subquery()
    return select(Order.id_key).where(Order.id_key == func.any(func.array(keys)), *among)


def _client_in(among: Sequence[ColumnElement[bool]]) -> ColumnElement[Any]:
    """The client whose orders alone are asked for: they are found however many others the words find."""
    clients = (
        condition.right
        for condition in among
        if isinstance(condition, BinaryExpression)
        and condition.operator is operators.eq
        and getattr(condition.left, "key", None) == Order.client_id.key
    )
    return next(clients, null())


found = Order.id_key.in_(_few(()))
# All are as good as each other, so they come in the order of their keys.
ranking = Ranking(similarity=literal_column("0"), few=_few, many=false(), classes=())
