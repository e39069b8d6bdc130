"""Logs refusals by a rule, so that a shop sees in its log when orders are refused all day."""

import logging
from decimal import Decimal

from infrastructure.observability.token_bucket import TokenBucket
from services.errors import Conflict, RequestInProgress, RuleBroken, ShopError

log = logging.getLogger("shop.rules")

# Warnings for refusals: so many at once, then so many a second; the next one has the number of refusals without one.
BURST = 20
PER_SECOND = 1.0

_allowance = TokenBucket(BURST, PER_SECOND)


def log_refusal(error: ShopError) -> None:
    """Log a warning with the code and the numbers of `error`, if it is a refusal by a rule of the shop.

    What a client wrote, such as an e-mail address, is left out.
    """
    if not isinstance(error, RuleBroken | Conflict) or isinstance(error, RequestInProgress):
        return
    if not log.isEnabledFor(logging.WARNING) or not _allowance.take():
        return
    numbers = {
        name: float(value) if isinstance(value, Decimal) else value
        for name, value in vars(error).items()
        if isinstance(value, int | Decimal)
    }
    without_line = _allowance.take_refused()
    more = {"refusals_without_a_line": without_line} if without_line else {}
    log.warning("A rule refused a request", extra={"code": error.code, **numbers, **more})
