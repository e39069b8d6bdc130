"""Preconditions: `If-Match` and `If-None-Match` of a request that would change a row."""

from collections.abc import Sequence

from fastapi import Request

from infrastructure.server.content_coding import plain_tag
from services.preconditions import Preconditions


def preconditions_of(request: Request) -> Preconditions:
    """The preconditions of the request on the version of the row."""
    if_none_match = request.headers.getlist("if-none-match")
    if not if_none_match:
        return Preconditions(versions_in(request.headers.getlist("if-match")))
    # The weak comparison of RFC 9110: a W/ in front does not matter here.
    strong = [line.replace('W/"', '"') for line in if_none_match]
    return Preconditions(versions_in(request.headers.getlist("if-match")), versions_in(strong))


def versions_in(if_match: Sequence[str]) -> frozenset[str] | None:
    """The versions that the lines of If-Match accept; None when any version is accepted.

    The tags of all forms of a row, plain or compressed, alone or expanded, contain the version of the row.
    """
    joined = ",".join(if_match)
    if not if_match or joined.strip() == "*":
        return None
    # The strong comparison of RFC 9110: a weak tag matches nothing.
    tags = (plain_tag(tag.strip()) for tag in joined.split(","))
    return frozenset(tag.strip('"').partition(".")[0] for tag in tags if not tag.startswith("W/"))
