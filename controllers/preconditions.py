"""Reads `If-Match` and `If-None-Match` of a request that would change a row."""

from fastapi import Request

from controllers.responses import versions_in
from services.preconditions import Preconditions


def preconditions_of(request: Request) -> Preconditions:
    """What the request asks of the version of the row."""
    if_none_match = request.headers.getlist("if-none-match")
    if not if_none_match:
        return Preconditions(versions_in(request.headers.getlist("if-match")))
    # The weak comparison of RFC 9110: a W/ in front does not matter here.
    strong = [line.replace('W/"', '"') for line in if_none_match]
    return Preconditions(versions_in(request.headers.getlist("if-match")), versions_in(strong))
