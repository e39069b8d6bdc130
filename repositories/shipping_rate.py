"""Queries on shipping rates."""

from models import ShippingRate
from repositories.base import BaseRepository
from repositories.query.filters import by_value


class ShippingRateRepository(BaseRepository[ShippingRate]):
    model = ShippingRate
    filters = {**by_value(delivery_method=ShippingRate.delivery_method, country=ShippingRate.country)}
