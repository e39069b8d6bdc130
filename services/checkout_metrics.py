"""What a worker counts of its checkouts: orders, pieces and money, and what was refused or done again."""

from infrastructure.observability.metric_families import (
    CHECKOUT_REFUSALS,
    CHECKOUT_REPLAYS,
    CHECKOUT_RETRIES,
    CHECKOUTS,
    REVENUE,
    STOCK_OUTS,
    UNITS_SOLD,
)
from infrastructure.observability.metrics import Metrics
from repositories.checkout import Outcome
from schemas.checkout import Checkout
from services.errors import InsufficientStock, ShopError


class CheckoutMetrics:
    """The counters, in a shop of this currency."""

    def __init__(self, metrics: Metrics, currency: str) -> None:
        self._metrics, self._currency = metrics, currency

    def placed(self, checkout: Checkout, outcome: Outcome) -> None:
        """An order was stored."""
        count = self._metrics.count
        count(CHECKOUTS)
        count(UNITS_SOLD, by=sum(line.quantity for line in checkout.lines))
        if outcome.total is not None:
            count(REVENUE, self._currency, by=int((outcome.total - checkout.discount) * REVENUE.divisor))

    def replayed(self) -> None:
        """A checkout was answered with what is kept under its key."""
        self._metrics.count(CHECKOUT_REPLAYS)

    def retried(self, orders: int) -> None:
        """So many orders go to the database once more: of a locked row, or of a group that was refused as a whole."""
        if orders:
            self._metrics.count(CHECKOUT_RETRIES, by=orders)

    def refused(self, error: ShopError) -> None:
        """A checkout ended with this error."""
        self._metrics.count(CHECKOUT_REFUSALS, error.code)
        if isinstance(error, InsufficientStock):
            self._metrics.count(STOCK_OUTS, by=sum(not short.available for short in error.others or [error]))
