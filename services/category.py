"""Rules of categories."""

from models import Category
from models.text_key import text_key
from repositories.category import CategoryRepository
from services.base import Caching
from services.bulk import BulkService

ONE_HOUR = 3600.0


class CategoryService(BulkService[Category]):
    thing, resource = "Category", "categories"
    repository_type = CategoryRepository
    unique = {"name": text_key}
    caching = Caching(ttl=ONE_HOUR)
