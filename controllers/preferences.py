"""`Prefer` (RFC 7240): whether a client wants to see what it has just written."""

from collections.abc import Sequence
from dataclasses import replace
from urllib.request import parse_http_list

from fastapi import Request

from services.idempotency import Reply

# Longer ones are not read: a preference may be ignored, and time belongs to others.
_LONGEST = 1000


def preferred(reply: Reply, request: Request) -> Reply:
    """The reply as the request prefers it: `return=minimal` leaves out the body of a success.

    What is kept under an Idempotency-Key is whole, so that each repeat has what it prefers itself.
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
    """Which of the two values of `return` is asked for; of several the first one counts."""
    joined = ",".join(lines)
    for preference in parse_http_list(joined) if len(joined) <= _LONGEST else ():
        name, _, value = preference.partition(";")[0].partition("=")
        if name.strip().lower() == "return":
            value = value.strip().strip('"').lower()
            return value if value in ("minimal", "representation") else None
    return None
