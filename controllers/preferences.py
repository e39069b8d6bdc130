"""The header `Prefer` (RFC 7240): whether the client wants the written row in the response."""

from collections.abc import Sequence
from dataclasses import replace
from urllib.request import parse_http_list

from fastapi import Request

from services.idempotency import Reply

# A longer header is ignored, as RFC 7240 allows.
_LONGEST = 1000


def preferred(reply: Reply, request: Request) -> Reply:
    """The reply by the preference of the request: `return=minimal` leaves out the body of a success.

    The reply kept under an Idempotency-Key is complete, so that each repeat has its own preference.
    """
    lines = request.headers.getlist("prefer")
    wanted = _return_preference(lines) if lines else None
    if wanted is None or not 200 <= reply.status < 300 or not reply.body:
        return reply
    headers = {**reply.headers, "Preference-Applied": f"return={wanted}"}
    if wanted == "representation":
        return replace(reply, headers=headers)
    del headers["Content-Type"]
    return Reply(204 if reply.status == 200 else reply.status, b"", headers)


def _return_preference(lines: Sequence[str]) -> str | None:
    """The value of `return`; of several the first one counts."""
    joined = ",".join(lines)
    for preference in parse_http_list(joined) if len(joined) <= _LONGEST else ():
        name, _, value = preference.partition(";")[0].partition("=")
        if name.strip().lower() == "return":
            value = value.strip().strip('"').lower()
            return value if value in ("minimal", "representation") else None
    return None
