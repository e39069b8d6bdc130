"""What a checkout would come to: nothing is stored, nothing is locked, and no key is kept."""

from collections import Counter
from typing import Any

from sqlalchemy.orm import Session

from repositories.checkout import CheckoutRepository, PendingOrder, Quoted
from repositories.checkout_judging import Verdict
from schemas.checkout import Checkout
from security.principal import Principal
from services.bill import ZERO, require_client_number
from services.checkout import new_order, refusal
from services.declared_errors import refuses
from services.errors import (
    AlreadyExists,
    AmountTooLarge,
    DiscountTooLarge,
    NotFound,
    PriceMismatch,
    ProductNotAvailable,
    RuleBroken,
    TotalMismatch,
)
from services.taxes import tax_of

_TAXED = ("tax_rate", "vat_category", "tax_included")


class QuoteService:
    """Judges orders by the rules of a checkout, of which too little in stock is told and not refused."""

    def __init__(self, session: Session, principal: Principal) -> None:
        self.session, self.principal = session, principal

    @refuses(
        NotFound,
        RuleBroken,
        ProductNotAvailable,
        PriceMismatch,
        AmountTooLarge,
        DiscountTooLarge,
        TotalMismatch,
        AlreadyExists,
    )
    def quote(self, checkout: Checkout) -> dict[str, Any]:
        """The members of `QuoteRead`. Raises the first rule that the order breaks."""
        bill_number = checkout.optional("bill_number")
        if bill_number is not None:
            require_client_number(bill_number)
        order = PendingOrder(new_order(checkout, self.principal))
        quoted = CheckoutRepository(self.session).quote(order)
        if quoted.outcome.verdict != Verdict.PLACED:
            raise refusal(checkout, quoted.outcome)
        return _figures(checkout, quoted)


def _figures(checkout: Checkout, quoted: Quoted) -> dict[str, Any]:
    total, lines = ZERO, []
    wanted: Counter[int] = Counter()
    stock: dict[int, int] = {}
    for asked, found in zip(checkout.lines, quoted.lines, strict=True):
        wanted[asked.product_id] += asked.quantity
        stock[asked.product_id] = found.stock
        amount = asked.quantity * found.price
        total += amount
        line = {"product_id": asked.product_id, "name": found.name, "sku": found.sku, "quantity": asked.quantity}
        lines.append(
            {**line, "price": found.price, "amount": amount, **{name: getattr(found, name) for name in _TAXED}}
        )
    return {
        "client_id": checkout.client_id,
        "delivery_method": checkout.delivery_method,
        "payment_type": checkout.payment_type,
        "lines": lines,
        "shortages": [
            {"product_id": product_id, "requested": requested, "available": stock[product_id]}
            for product_id, requested in wanted.items()
            if requested > stock[product_id]
        ],
        "total": total,
        "discount": checkout.discount,
        "shipping": quoted.outcome.shipping,
        "tax_included": tax_of(quoted.taxes),
        "taxes": quoted.taxes,
        "to_pay": total - checkout.discount + quoted.outcome.shipping,
        "currency": quoted.currency,
    }
