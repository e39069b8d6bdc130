"""Rules of categories."""

from models import Category
from repositories.category import CategoryRepository
from services.base import Caching
from services.bulk import BulkService
from services.tax_class import TaxClassService

ONE_HOUR = 3600.0


class CategoryService(BulkService[Category]):
    thing, resource = "Category", "categories"
    repository_type = CategoryRepository
    references = {"tax_class_id": TaxClassService}
    caching = Caching(ttl=ONE_HOUR)
