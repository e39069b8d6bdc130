"""Rules of shipping rates."""

from models import ShippingRate
from repositories.shipping_rate import ShippingRateRepository
from services.base import BaseService


class ShippingRateService(BaseService[ShippingRate]):
    thing, resource = "ShippingRate", "shipping_rates"
    repository_type = ShippingRateRepository
