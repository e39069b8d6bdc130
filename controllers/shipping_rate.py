"""Routes of shipping rates."""

from controllers.base import BaseController
from middleware.cache_control import SHARED
from schemas.shipping_rate import ShippingRateCreate, ShippingRateQuery, ShippingRateRead, ShippingRateUpdate
from security.policy import PUBLIC, needs
from services.shipping_rate import ShippingRateService


class ShippingRateController(BaseController):
    reads, writes = PUBLIC, needs("settings:write")
    service = ShippingRateService
    create_schema, update_schema = ShippingRateCreate, ShippingRateUpdate
    cache_control = SHARED
    read_schema, query_schema = ShippingRateRead, ShippingRateQuery
    example = {"delivery_method": 3, "country": "ES", "price": 4.9, "free_from": 50}
