"""Queries on shipping rates."""

from typing import Any

from sqlalchemy import or_, select

from models import ShippingRate
from repositories.base import BaseRepository
from repositories.query.filters import by_value


class ShippingRateRepository(BaseRepository[ShippingRate]):
    model = ShippingRate
    filters = {**by_value(delivery_method=ShippingRate.delivery_method, country=ShippingRate.country)}

    def matching(self, delivery_method: int, country: str) -> Any | None:
        """`price` and `free_from` of the rate for orders to this country, a named one before any; None without one."""
        found = select(ShippingRate.price, ShippingRate.free_from).where(
            ShippingRate.delivery_method == delivery_method,
            or_(ShippingRate.country == country, ShippingRate.country.is_(None)),
        )
        return self.session.execute(found.order_by(ShippingRate.country.is_(None)).limit(1)).one_or_none()
