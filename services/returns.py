"""Returning goods: back in stock, and a credit bill for what they cost."""

from collections import Counter
from collections.abc import Iterable
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

from sqlalchemy.orm import Session

from models import Bill, Order, OrderDetail
from models.bill import BillKind, CreditReason
from models.order import OrderStatus
from models.stock_movement import StockReason
from repositories.bill import BillRepository
from repositories.event_writing import Happening, tell
from repositories.order import OrderRepository
from repositories.order_detail import OrderDetailRepository
from schemas.checkout import Return
from services.bill import ZERO
from services.declared_errors import refuses
from services.errors import AmountTooLarge, Conflict, NotFound, ReturnExceedsSale
from services.identity.audit import old_and_new, record_one
from services.integrity import violations_of
from services.order import BILL_FIELDS, OrderService
from services.product import ProductService

_CENT = Decimal("0.01")
_RETURNABLE = (OrderStatus.IN_PROGRESS, OrderStatus.DELIVERED)


class ReturnService:
    """Locks the order, then its products by id, then the bill, then the counter, as every service does."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self.bills = BillRepository(session)

    @refuses(NotFound, Conflict, ReturnExceedsSale, AmountTooLarge)
    def return_items(self, order_id: int, request: Return) -> Any:
        """All columns of the credit bill for the returned lines."""
        order = OrderService(self.session).lock(order_id)
        if order.status not in _RETURNABLE:
            raise Conflict(f"Order {order_id} is {OrderStatus(order.status).name}: nothing of it can be returned")
        details = {detail.id_key: detail for detail in OrderDetailRepository(self.session).of_order(order_id)}
        returned = _quantities(request, details)
        self._restock(returned, details)
        sale = self.bills.lock(order.bill_id)
        assert sale is not None, "an order's bill cannot be deleted"
        refund = _refund(order, sale, details.values())
        audited = old_and_new(self.session, order, {"returned_total": order.returned_total + refund})
        order.returned_total += refund
        self.session.flush()
        record_one(self.session, order, audited)
        credit = {
            "total": refund,
            "payment_type": sale.payment_type,
            "client_id": order.client_id,
            "kind": BillKind.CREDIT.value,
            "refunds_bill_id": sale.id_key,
            "reason": CreditReason.RETURNED.value,
            "bill_number": self.bills.next_number(BillKind.CREDIT),
        }
        with violations_of(credit):
            credit_bill = self.bills.add(credit)
        shown = {name: getattr(credit_bill, name) for name in BILL_FIELDS}
        tell(self.session, OrderRepository.told, [Happening("order.returned", order_id, {"credit_bill": shown})])
        return credit_bill

    def _restock(self, returned: Counter[int], details: dict[int, OrderDetail]) -> None:
        products = ProductService(self.session)
        locked_products = products.lock_all({details[detail_id].product_id for detail_id in returned})
        for detail_id, quantity in returned.items():
            detail = details[detail_id]
            detail.returned_quantity += quantity
            products.move_stock(locked_products[detail.product_id], quantity, StockReason.RETURN, detail_id)


def _quantities(request: Return, details: dict[int, OrderDetail]) -> Counter[int]:
    """The quantities returned, by the key of the detail. Raises `ReturnExceedsSale` for more than is still out."""
    returned: Counter[int] = Counter()
    for line in request.lines:
        if line.order_detail_id not in details:
            raise NotFound("OrderDetail", line.order_detail_id)
        returned[line.order_detail_id] += line.quantity
    for detail_id, quantity in returned.items():
        returnable = details[detail_id].quantity - details[detail_id].returned_quantity
        if quantity > returnable:
            raise ReturnExceedsSale(detail_id, quantity, returnable)
    return returned


def _refund(order: Order, sale: Bill, details: Iterable[OrderDetail]) -> Decimal:
    """What to refund now: the price of all goods returned so far, less their share of the discount and earlier refunds.

    The sum of all returns is rounded, and not each of them: many small returns do not add up to a cent too much or too
    little.
    """
    gross = sum((detail.price * detail.returned_quantity for detail in details), ZERO)
    # Multiplied before it is divided: a rounded share would be wrong for large sums.
    refunded = (gross * max(ZERO, order.total - sale.discount) / order.total).quantize(_CENT, ROUND_HALF_UP)
    return max(ZERO, refunded - order.returned_total)
