"""Returning goods: back in stock, or written off, and a credit bill for what they cost."""

from collections import Counter
from collections.abc import Iterable, Mapping
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

from sqlalchemy.orm import Session

from models import Bill, Order, OrderDetail
from models.bill import CreditReason
from models.order import OrderStatus
from models.returns import Return as StoredReturn
from repositories.bill import BillRepository
from repositories.event_writing import Happening, tell
from repositories.order import OrderRepository
from repositories.order_detail import OrderDetailRepository
from repositories.returns import ReturnRepository
from repositories.shipment import ShipmentRepository
from schemas.returns import Return, ReturnedLineRead
from security.principal import EVERYBODY, Principal
from services.base import BaseService
from services.bill import ZERO, BillService
from services.declared_errors import refuses
from services.errors import AmountTooLarge, Conflict, NotFound, ReturnExceedsSale
from services.identity.audit import old_and_new, record_one
from services.largest_remainder import spread
from services.order import BILL_FIELDS, OrderService
from services.product import ProductService
from services.shipping_errors import ShippingNotRefundable
from services.taxes import TaxService

_CENT = Decimal("0.01")
_LINE = tuple(ReturnedLineRead.model_fields)
_RETURNABLE = (OrderStatus.IN_PROGRESS, OrderStatus.DELIVERED)


class ReturnService(BaseService[StoredReturn]):
    """Locks the order, then its products by id, then the bill, then the counter, as every service does."""

    thing, resource = "Return", "returns"
    repository_type = ReturnRepository

    def __init__(self, session: Session, principal: Principal = EVERYBODY) -> None:
        super().__init__(session, principal)
        self.bills = BillRepository(session)

    @refuses(NotFound, Conflict, ReturnExceedsSale, ShippingNotRefundable, AmountTooLarge)
    def return_items(self, order_id: int, request: Return) -> dict[str, Any]:
        """The credit bill for the returned lines, as `CreditBillRead` has it."""
        order = OrderService(self.session).lock(order_id)
        if order.status not in _RETURNABLE:
            raise Conflict(f"Order {order_id} is {OrderStatus(order.status).name}: nothing of it can be returned")
        details = {detail.id_key: detail for detail in OrderDetailRepository(self.session).of_order(order_id)}
        returned = _quantities(request, details)
        if request.refund_shipping:
            _require_last(order_id, returned, details.values())
        self._take_back(returned, details, restock=request.restock)
        sale = self.bills.lock(order.bill_id)
        assert sale is not None, "an order's bill cannot be deleted"
        refund = _refund(order, sale, details.values())
        audited = old_and_new(self.session, order, {"returned_total": order.returned_total + refund})
        order.returned_total += refund
        self.session.flush()
        record_one(self.session, order, audited)
        shipping = sale.shipping if request.refund_shipping else ZERO
        taxed = TaxService(self.session).of_return(order, sale, returned, shipping)
        credit_bill = BillService(self.session).credit(
            order, sale, refund + shipping, taxed.taxes, CreditReason.RETURNED, shipping
        )
        lines = _lines(refund, returned, details, ShipmentRepository(self.session).out_of(order_id))
        lines = [{**line, "tax_included": taxed.lines[line["order_detail_id"]]} for line in lines]
        return_id = self._keep(order_id, credit_bill.id_key, request, lines)
        shown = {name: getattr(credit_bill, name) for name in BILL_FIELDS} | {"return_id": return_id}
        tell(self.session, OrderRepository.told, [Happening("order.returned", order_id, {"credit_bill": shown})])
        return shown

    def lines(self, return_id: int) -> list[dict[str, Any]]:
        """The lines of the return, in the order of the lines of the order."""
        return [dict(zip(_LINE, row, strict=True)) for row in ReturnRepository(self.session).lines(return_id, _LINE)]

    def _take_back(self, returned: Counter[int], details: dict[int, OrderDetail], *, restock: bool) -> None:
        products = ProductService(self.session)
        locked_products = products.lock_all({details[detail_id].product_id for detail_id in returned})
        for detail_id, quantity in returned.items():
            detail = details[detail_id]
            detail.returned_quantity += quantity
            products.take_back(locked_products[detail.product_id], quantity, detail_id, restock=restock)

    def _keep(self, order_id: int, credit_bill_id: int, request: Return, lines: Iterable[Mapping[str, Any]]) -> int:
        """Store the return; its key."""
        returns = ReturnRepository(self.session)
        values = {"order_id": order_id, "credit_bill_id": credit_bill_id}
        row = returns.add(values | {"reason": request.reason, "restock": request.restock})
        returns.add_lines([{"return_id": row.id_key, **line} for line in lines])
        key: int = row.id_key
        return key


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


def _require_last(order_id: int, returned: Mapping[int, int], details: Iterable[OrderDetail]) -> None:
    """Raise `ShippingNotRefundable` where pieces of the order stay with the client."""
    kept = sum(detail.quantity - detail.returned_quantity - returned.get(detail.id_key, 0) for detail in details)
    if kept:
        raise ShippingNotRefundable(order_id, kept)


def _refund(order: Order, sale: Bill, details: Iterable[OrderDetail]) -> Decimal:
    """What to refund now: the price of all goods returned so far, less their share of the discount and earlier refunds.

    The sum of all returns is rounded, and not each of them: many small returns do not add up to a cent too much or too
    little.
    """
    gross = sum((detail.price * detail.returned_quantity for detail in details), ZERO)
    # Multiplied before it is divided: a rounded share would be wrong for large sums.
    refunded = (gross * max(ZERO, order.total - sale.discount) / order.total).quantize(_CENT, ROUND_HALF_UP)
    return max(ZERO, refunded - order.returned_total)


def _lines(
    refund: Decimal, returned: Mapping[int, int], details: Mapping[int, OrderDetail], out: Mapping[int, int]
) -> list[dict[str, Any]]:
    """The lines of the return, among which the refund is spread by what the goods cost.

    `out` has the shipped pieces of each line that were not back: they come back before those that were not shipped.
    """
    amounts = spread(refund, {key: details[key].price * quantity for key, quantity in returned.items()})
    return [
        {
            "order_detail_id": key,
            "product_id": details[key].product_id,
            "quantity": quantity,
            "amount": amounts[key],
            "shipped_quantity": min(quantity, out.get(key, 0)),
        }
        for key, quantity in returned.items()
    ]
