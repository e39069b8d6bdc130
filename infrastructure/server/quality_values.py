"""Quality values (RFC 9110, section 12.4.2): the weights of the items of Accept and Accept-Encoding."""

import re
from collections.abc import Iterator, Mapping

_WEIGHT = re.compile(r"q=(0(?:\.\d{0,3})?|1(?:\.0{0,3})?)", re.ASCII)
# No real client lists more; the rest is ignored.
# For a longer Accept header the response is what it is without one.
_LONGEST_ACCEPT = 1000
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


def prefers(accept: str, media_type: str, over: str) -> bool:
    """Whether a client with this Accept header wants `media_type` more than the type `over`. Not with a very long header."""
    if len(accept) > _LONGEST_ACCEPT:
        return False
    weights = {media_range.partition(";")[0]: weight for media_range, weight in weighted_items(accept)}
    return _weight(weights, media_type) > _weight(weights, over)


def _weight(weights: Mapping[str, float], media_type: str) -> float:
    """The weight of a media type, by the media range that fits it best."""
    fitting = (media_type, f"{media_type.partition('/')[0]}/*", "*/*")
    return next((weights[media_range] for media_range in fitting if media_range in weights), 0.0)
