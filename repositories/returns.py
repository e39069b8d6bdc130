"""Queries on returns and their lines."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import bindparam, insert, select

from models import Return, ReturnLine
from repositories.base import BaseRepository
from repositories.query.filters import by_value
from repositories.query.owned_by_orders import of_clients


class ReturnRepository(BaseRepository[Return]):
    model = Return
    ranges = {
        "date_from": Return.created_at >= bindparam("date_from"),
        "date_to": Return.created_at <= bindparam("date_to"),
    }
    filters = {
        **by_value(order_id=Return.order_id),
        **of_clients(Return.order_id),
        **ranges,
    }

    def add_lines(self, lines: Sequence[dict[str, Any]]) -> None:
        """Write the lines of returns."""
        self.session.execute(insert(ReturnLine), lines)

    def lines(self, return_id: int, fields: Sequence[str]) -> Sequence[Any]:
        """The named columns of the lines of the return, in the order of the lines of the order."""
        columns = (getattr(ReturnLine, name) for name in fields)
        found = select(*columns).where(ReturnLine.return_id == return_id).order_by(ReturnLine.order_detail_id)
        return self.session.execute(found).all()
