"""Rules of shipping rates, and what an order keeps of the one that matches it."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from config.settings import get_settings
from models import ShippingRate
from repositories.shipping_rate import ShippingRateRepository
from services.base import BaseService


class ShippingRateService(BaseService[ShippingRate]):
    thing, resource = "ShippingRate", "shipping_rates"
    repository_type = ShippingRateRepository

    def kept(self, delivery_method: int, ship_to: Mapping[str, Any] | None) -> dict[str, Decimal | None]:
        """The columns of an order about the rate for it, as it is now. The statement of a checkout finds it likewise."""
        country = get_settings().shop_country if ship_to is None else ship_to["country"]
        rate = ShippingRateRepository(self.session).matching(delivery_method, country)
        price, free_from = (Decimal(0), None) if rate is None else rate
        return {"shipping_price": price, "shipping_free_from": free_from}
