"""Queries on tax classes."""

from models import TaxClass
from repositories.base import BaseRepository
from repositories.query.filters import same


class TaxClassRepository(BaseRepository[TaxClass]):
    model = TaxClass
    filters = {"name": same(TaxClass.name, "name")}
