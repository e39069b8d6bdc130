"""Placing an order: bill, order and details in one transaction, all or nothing."""

import time
from collections import Counter
from collections.abc import Callable

from config.settings import get_settings
from infrastructure.observability.tracing import span
from repositories.base import is_key
from repositories.checkout import BrokenLine, KeyToKeep, NewLine, NewOrder, Outcome, PendingOrder, PlacedOrder
from repositories.checkout_judging import Verdict
from schemas.checkout import Checkout
from security.principal import Principal
from services.bill import require_client_number
from services.checkout_groups import CheckoutGroups
from services.checkout_metrics import CheckoutMetrics
from services.declared_errors import refuses
from services.errors import (
    AlreadyExists,
    AmountTooLarge,
    DiscountTooLarge,
    InsufficientStock,
    KeyReused,
    NotFound,
    PriceMismatch,
    ProductNotAvailable,
    RequestInProgress,
    RuleBroken,
    ShopError,
    TotalMismatch,
)
from services.idempotency import KeyedRequest, Reply
from services.identity.audit import current_author
from services.identity.errors import Forbidden
from services.ownership import require_own_client

__all__ = ["CheckoutService", "PlacedOrder", "require_permitted"]


def require_permitted(checkout: Checkout, principal: Principal) -> None:
    """Raise `Forbidden` for what customers do not decide: another client, a discount, the bill's number, the date.

    A discount of nothing is what they get anyway.
    """
    if not principal.is_customer:
        return
    require_own_client(principal, checkout.client_id)
    for name in ("bill_number", "date"):
        if checkout.optional(name) is not None:
            raise Forbidden(text=f"The {name} is given by the shop")
    if checkout.discount:
        raise Forbidden(text="A discount is given by the shop")


class CheckoutService:
    """Places the orders of one worker, all that wait by one statement."""

    def __init__(self, groups: CheckoutGroups, metrics: CheckoutMetrics) -> None:
        self._groups, self._metrics = groups, metrics

    @refuses(
        NotFound,
        RuleBroken,
        ProductNotAvailable,
        PriceMismatch,
        InsufficientStock,
        AmountTooLarge,
        DiscountTooLarge,
        TotalMismatch,
        AlreadyExists,
        RequestInProgress,
        KeyReused,
    )
    async def place(
        self, checkout: Checkout, principal: Principal, keyed: KeyedRequest | None, location: str
    ) -> PlacedOrder | Reply:
        """The stored order, after its commit, or the reply that is kept under its key.

        `location` is the path before the order's key. Raises the first rule that the order breaks,
        but for `require_permitted`, which comes before what is wrong with the key.
        """
        since = time.monotonic()
        try:
            with span("checkout", lines=len(checkout.lines)):
                return await self._placed(checkout, new_order(checkout, principal, keyed, location), since)
        except ShopError as error:
            self._metrics.refused(error)
            raise

    async def _placed(self, checkout: Checkout, order: NewOrder, since: float) -> PlacedOrder | Reply:
        if order.bill_number is not None:
            require_client_number(order.bill_number)
        outcome = await self._groups.place(PendingOrder(order), since)
        if outcome.order is not None:
            self._metrics.placed(checkout, outcome)
            return outcome.order
        if outcome.kept is not None:
            status, headers, body = outcome.kept
            self._metrics.replayed()
            return Reply(status, body, {**headers, "Idempotent-Replayed": "true"})
        raise refusal(checkout, outcome)


def new_order(
    checkout: Checkout, principal: Principal, keyed: KeyedRequest | None = None, location: str = ""
) -> NewOrder:
    """The order as the client asked for it."""
    return NewOrder(
        lines=[NewLine(_key(line.product_id), line.quantity, line.offered) for line in checkout.lines],
        client_id=_key(checkout.client_id),
        delivery_method=checkout.delivery_method,
        payment_type=checkout.payment_type,
        is_paid=get_settings().pay_on_checkout,
        discount=checkout.discount,
        expected_total=checkout.optional("expected_total"),
        bill_number=checkout.optional("bill_number"),
        date=checkout.optional("date"),
        address_id=None if checkout.address_id is None else _key(checkout.address_id),
        shop_country=get_settings().shop_country,
        to_default_address=checkout.goes_to_default_address,
        is_customers=principal.is_customer,
        key_to_keep=None if keyed is None else KeyToKeep(keyed.key, keyed.fingerprint, location),
        author=current_author(),
    )


def _key(row_id: int) -> int:
    """The key, or one that no row has for a number that can be no key."""
    return row_id if is_key(row_id) else 0


def refusal(checkout: Checkout, outcome: Outcome) -> ShopError:
    """The error for an order that was not placed, by the verdict on it."""
    return _REFUSALS[outcome.verdict](checkout, outcome)


def _product_of(checkout: Checkout, line: BrokenLine) -> int:
    return checkout.lines[line.number].product_id


def _no_product(checkout: Checkout, outcome: Outcome) -> ShopError:
    first = next(line for line in outcome.broken_lines if line.verdict == Verdict.NO_PRODUCT)
    return NotFound("Product", _product_of(checkout, first))


def _not_for_sale(checkout: Checkout, outcome: Outcome) -> ShopError:
    first = next(line for line in outcome.broken_lines if line.verdict == Verdict.NOT_FOR_SALE)
    offered = checkout.lines[first.number].offered
    if not first.active:
        return ProductNotAvailable(_product_of(checkout, first))
    assert first.price is not None
    assert offered is not None
    return PriceMismatch(first.price, offered)


def _short(checkout: Checkout, outcome: Outcome) -> ShopError:
    wanted: Counter[int] = Counter()
    for line in checkout.lines:
        wanted[line.product_id] += line.quantity
    stocks = {_product_of(checkout, line): line.stock or 0 for line in outcome.broken_lines}
    short = [InsufficientStock(product_id, wanted[product_id], stock) for product_id, stock in stocks.items()]
    return InsufficientStock(short[0].product_id, short[0].requested, short[0].available, short)


def _discount_too_large(checkout: Checkout, outcome: Outcome) -> ShopError:
    assert outcome.total is not None
    return DiscountTooLarge(checkout.discount, outcome.total)


def _other_total(checkout: Checkout, outcome: Outcome) -> ShopError:
    assert outcome.total is not None
    return TotalMismatch(outcome.total - checkout.discount + outcome.shipping, checkout.optional("expected_total"))


_REFUSALS: dict[Verdict, Callable[[Checkout, Outcome], ShopError]] = {
    Verdict.KEY_IN_USE: lambda checkout, outcome: RequestInProgress(),
    Verdict.KEY_REUSED: lambda checkout, outcome: KeyReused(),
    Verdict.NO_CLIENT: lambda checkout, outcome: NotFound("Client", checkout.client_id),
    Verdict.NO_ADDRESS: lambda checkout, outcome: NotFound("Address", checkout.address_id),
    Verdict.ADDRESS_OF_ANOTHER: lambda checkout, outcome: RuleBroken(
        f"Address {checkout.address_id} is not one of client {checkout.client_id}"
    ),
    Verdict.NO_PRODUCT: _no_product,
    Verdict.NOT_FOR_SALE: _not_for_sale,
    Verdict.SHORT: _short,
    Verdict.AMOUNT_TOO_LARGE: lambda checkout, outcome: AmountTooLarge(),
    Verdict.DISCOUNT_TOO_LARGE: _discount_too_large,
    Verdict.OTHER_TOTAL: _other_total,
    Verdict.NUMBER_TAKEN: lambda checkout, outcome: AlreadyExists("Bill", "bill_number", checkout.bill_number),
}
