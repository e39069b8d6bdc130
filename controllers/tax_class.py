"""Routes of tax classes."""

from controllers.base import BaseController
from middleware.cache_control import SHARED
from schemas.tax_class import TaxClassCreate, TaxClassQuery, TaxClassRead, TaxClassUpdate
from security.policy import PUBLIC, needs
from services.tax_class import TaxClassService


class TaxClassController(BaseController):
    reads, writes = PUBLIC, needs("settings:write")
    service = TaxClassService
    create_schema, update_schema = TaxClassCreate, TaxClassUpdate
    cache_control = SHARED
    read_schema, query_schema = TaxClassRead, TaxClassQuery
    example = {
        "name": "reduced",
        "rates": [{"country": "ES", "rate": 10, "valid_from": "2012-09-01", "vat_category": "S"}],
    }
