"""Largest remainder: an amount spread over shares to the cent, so that the parts sum up to it exactly."""

from collections.abc import Mapping
from decimal import Decimal

_CENTS = 100


def spread(amount: Decimal, weights: Mapping[int, Decimal]) -> dict[int, Decimal]:
    """The part of `amount` for each key, in proportion to its weight.

    All are in whole cents. The cents left over by rounding down go to the largest remainders, of equal ones to the
    smallest keys. The weights must not sum up to 0.
    """
    cents = int(amount * _CENTS)
    whole = {key: int(weight * _CENTS) for key, weight in weights.items()}
    of_all = sum(whole.values())
    parts = {key: divmod(cents * weight, of_all) for key, weight in whole.items()}
    left = cents - sum(part for part, _ in parts.values())
    favored = set(sorted(parts, key=lambda key: (-parts[key][1], key))[:left])
    return {key: Decimal(part + (key in favored)) / _CENTS for key, (part, _) in parts.items()}
