"""Expanded orders, with objects inside them: rendered as a whole if they are few, else in pieces.

The orders of a page are limited, but the details of an order are not. So a page whose orders have many details is never
held as a whole: it is rendered in pieces, each read when the one before it was sent. An order and its details are as
they are when their piece is read, which is later than the page.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy.orm import Session

from repositories.order_detail import OrderDetailRepository
from schemas.bill import BillRead
from schemas.client import ClientRead
from schemas.json_codec import to_json
from schemas.order_detail import OrderDetailRead
from security.principal import Principal
from services.bill import BillService
from services.client import ClientService

DETAIL_FIELDS = tuple(OrderDetailRead.model_fields)
_DETAILS = "order_details"
_OTHERS = (
    ("bill", BillService, tuple(BillRead.model_fields)),
    ("client", ClientService, tuple(ClientRead.model_fields)),
)

# At most so many details are read for a whole page. A piece has fewer: it takes some 5 ms.
MOST_DETAILS = 2000
PIECE_DETAILS, PIECE_ORDERS = 500, 100


def expand(
    session: Session, orders: Sequence[Any], names: Sequence[str], principal: Principal
) -> list[dict[str, Any]] | None:
    """For each order the named objects inside it, by one query per name; None if there are too many details.

    The principal may see the orders. Their details go with them, whatever has become of the products: a detail says what
    was bought, and for how much, and nothing else about the product.
    """
    details: Sequence[Any] = ()
    if _DETAILS in names:
        keys = [order.id_key for order in orders]
        details = OrderDetailRepository(session).some_of(keys, DETAIL_FIELDS, MOST_DETAILS + 1)
        if len(details) > MOST_DETAILS:
            return None
    return _inside(session, orders, names, sorted(details, key=lambda row: row.id_key), principal)


def _inside(
    session: Session, orders: Sequence[Any], names: Sequence[str], details: Sequence[Any], principal: Principal
) -> list[dict[str, Any]]:
    inside: list[dict[str, Any]] = [{} for _ in orders]
    if _DETAILS in names:
        by_order: dict[int, list[dict[str, Any]]] = {order.id_key: [] for order in orders}
        for row in details:
            by_order[row.order_id].append(dict(row._mapping))
        for order, found in zip(orders, inside, strict=True):
            found[_DETAILS] = by_order[order.id_key]
    for name, service, fields in _OTHERS:
        if name in names:
            keys = [getattr(order, f"{name}_id") for order in orders]
            rows = service.repository_type(session).rows("id_key", keys, fields, service.visible_to(principal))
            objects = {row.id_key: dict(row._mapping) for row in rows}
            for key, found in zip(keys, inside, strict=True):
                # One that was deleted in between was deleted with its order, and a bill may be that of another client.
                found[name] = objects.get(key)
    return inside


@dataclass(frozen=True, slots=True)
class Place:
    """Where a piece begins: at which of the orders, and behind which of its details if some of them were sent."""

    order: int = 0
    after: int | None = None


class ExpandedOrders:
    """The JSON of `orders`, in pieces: of each what its row in `rows` shows, and the objects `names`, for `principal`.

    `numbers` are about how many details the orders have, by their keys.
    """

    def __init__(
        self,
        orders: Sequence[Any],
        rows: Sequence[dict[str, Any]],
        names: Sequence[str],
        numbers: dict[int, int],
        principal: Principal,
    ) -> None:
        self._orders, self._rows, self._names, self._principal = orders, rows, names, principal
        self._numbers = [numbers.get(order.id_key, 0) for order in orders]

    def piece(self, session: Session, place: Place) -> tuple[bytes, Place | None]:
        """The piece that begins at this place, and where the next one begins; None after the last one."""
        if not self._orders:
            return b"[]\n", None
        is_long = self._numbers[place.order] > PIECE_DETAILS
        text, following = self._some_of_one(session, place) if is_long else self._some(session, place.order)
        if place == Place():
            text = b"[" + text
        elif place.after is None:
            text = b"," + text
        return (text + b"]\n", None) if following.order == len(self._orders) else (text, following)

    def of_one(self, session: Session) -> bytes:
        """The JSON of the only order, which has more details than are read at once."""
        pieces: list[bytes] = []
        following: Place | None = Place()
        while following is not None:
            text, following = self.piece(session, following)
            pieces.append(text)
        return b"".join(pieces)[1:-2] + b"\n"

    def _some(self, session: Session, start: int) -> tuple[bytes, Place]:
        """The next orders, with all that is inside them."""
        end, left = start, PIECE_DETAILS
        while end < min(len(self._orders), start + PIECE_ORDERS) and self._numbers[end] <= left:
            left -= self._numbers[end]
            end += 1
        orders = self._orders[start:end]
        keys = [order.id_key for order in orders]
        details = OrderDetailRepository(session).rows("order_id", keys, DETAIL_FIELDS)
        inside = _inside(session, orders, self._names, details, self._principal)
        content = [row | more for row, more in zip(self._rows[start:end], inside, strict=True)]
        return to_json(content)[1:-1], Place(end)

    def _some_of_one(self, session: Session, place: Place) -> tuple[bytes, Place]:
        """Some details of one order: with its JSON before the first of them, and the rest of its JSON behind the last."""
        order = self._orders[place.order]
        found = OrderDetailRepository(session).next_of(order.id_key, place.after or 0, DETAIL_FIELDS, PIECE_DETAILS)
        details = to_json([dict(row._mapping) for row in found])[1:-1]
        if place.after is None:
            details = to_json(self._rows[place.order])[:-1] + b',"order_details":[' + details
        elif found:
            details = b"," + details
        if len(found) == PIECE_DETAILS:
            return details, Place(place.order, found[-1].id_key)
        others = [name for name in self._names if name != _DETAILS]
        rest = to_json(_inside(session, [order], others, (), self._principal)[0])[1:]
        return details + (b"]," if others else b"]") + rest, Place(place.order + 1)


def in_pieces(
    session: Session,
    orders: Sequence[Any],
    rows: Sequence[dict[str, Any]],
    names: Sequence[str],
    principal: Principal,
) -> ExpandedOrders:
    """The orders of a page whose details are too many to be read at once. `rows` are what is shown of each order."""
    numbers = OrderDetailRepository(session).numbers([row.id_key for row in orders])
    return ExpandedOrders(orders, rows, names, numbers, principal)
