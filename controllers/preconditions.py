"""Preconditions: `If-Match` and `If-None-Match` of a request that would change a row."""

from collections.abc import Sequence

from fastapi import Request

from infrastructure.server.content_coding import plain_tags
from services.preconditions import Preconditions


def preconditions_of(request: Request) -> Preconditions:
    """The preconditions of the request on the version of the row."""
    wanted, unwanted = (request.headers.getlist(name) for name in ("if-match", "if-none-match"))
    return Preconditions(versions_in(wanted), versions_in(unwanted) if unwanted else frozenset())


def versions_in(lines: Sequence[str]) -> frozenset[str] | None:
    """The versions that the lines of If-Match or If-None-Match name; None for any version.

    The tags of all forms of a row, plain or compressed, alone or expanded, contain the version of the row.
    """
    tags = plain_tags(lines)
    if not lines or tags == ["*"]:
        return None
    return frozenset(tag.strip('"').partition(".")[0] for tag in tags)
