"""Quality values (RFC 9110, section 12.4.2): the weights of the items of Accept and Accept-Encoding."""

import re
from collections.abc import Iterator

_WEIGHT = re.compile(r"q=(0(?:\.\d{0,3})?|1(?:\.0{0,3})?)", re.ASCII)
# No real client lists more; the rest is ignored.
_MOST_ITEMS = 50


def weighted_items(value: str) -> Iterator[tuple[str, float]]:
    """The items of such a header, in lower case and with their other parameters, each with its weight from 0 to 1.

    An item whose weight is malformed is left out.
    """
    for item in value.lower().split(",", _MOST_ITEMS)[:_MOST_ITEMS]:
        parts = [part.strip(" \t") for part in item.split(";")]
        weights = [part for part in parts if part.startswith("q=")]
        match = _WEIGHT.fullmatch(weights[0] if weights else "q=1")
        if match is not None:
            yield ";".join(part for part in parts if part not in weights), float(match[1])
