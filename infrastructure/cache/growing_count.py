"""Counts that grow: the number of all rows is counted once, and new rows are then added to it without a look at them.

A count knows PostgreSQL's snapshot that it was counted in, and the invalidation of a new row names the transaction that
added it. The snapshot says of each transaction whether the count has seen its row already, so the sum is exact.
"""

from dataclasses import replace

from infrastructure.cache.rendered_response import RenderedResponse

TOTAL = "X-Total-Count"


def grown(count: RenderedResponse, log: bytes) -> RenderedResponse:
    """The response `count`, whose snapshot is known, with the rows of the transactions in `log`: `,731,745`."""
    assert count.snapshot is not None
    more = _unseen(count.snapshot, log)
    if not more:
        return count
    return replace(count, headers={**count.headers, TOTAL: str(int(count.headers[TOTAL]) + more)})


def _unseen(snapshot: str, log: bytes) -> int:
    """How many of the transactions are not visible in the snapshot, which is `xmin:xmax:those that were under way`.

    One that is there twice, because an exchange with Redis was repeated, is one.
    """
    first, end, under_way = snapshot.split(":")
    open_ones = {int(one) for one in under_way.split(",") if one}
    added = {int(one) for one in log.split(b",") if one}
    return sum(one >= int(end) or one in open_ones for one in added if one >= int(first))
