"""Refusals by a rule, told to the log: a shop whose orders are refused all day should not find out from its books."""

import logging
from decimal import Decimal

from infrastructure.observability.token_bucket import TokenBucket
from services.errors import Conflict, RequestInProgress, RuleBroken, ShopError

log = logging.getLogger("shop.rules")

# Warnings for refusals: so many at once, then so many a second; the next one tells how many had none.
BURST = 20
PER_SECOND = 1.0

_allowance = TokenBucket(BURST, PER_SECOND)


def log_refusal(error: ShopError) -> None:
    """A warning with the code and the numbers of `error`, if a rule of the shop refuses by it.

    What a client wrote, such as an e-mail address, is not among the numbers.
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
