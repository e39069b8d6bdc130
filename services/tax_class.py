"""Rules of tax classes: the one called `standard` stays."""

from typing import Any

from models import TaxClass
from models.tax_class import STANDARD
from repositories.tax_class import TaxClassRepository
from schemas.tax_class import stored_rates
from services.base import BaseService
from services.declared_errors import refuses
from services.errors import Conflict


class TaxClassService(BaseService[TaxClass]):
    """What changes of a class is for orders to come: lines keep the rates that they were sold at."""

    thing, resource = "TaxClass", "tax_classes"
    repository_type = TaxClassRepository

    @classmethod
    def complete(cls, values: dict[str, Any]) -> None:
        if "rates" in values:
            values["rates"] = stored_rates(values["rates"])

    @refuses(Conflict)
    def before_update(self, row: TaxClass, changes: dict[str, Any]) -> None:
        if row.name == STANDARD and "name" in changes:
            raise Conflict(f"The tax class {STANDARD} keeps its name")

    @refuses(Conflict)
    def before_delete(self, row: TaxClass) -> None:
        if row.name == STANDARD:
            raise Conflict(f"The tax class {STANDARD} cannot be deleted")
