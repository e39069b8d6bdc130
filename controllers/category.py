"""Routes of categories."""

from controllers.bulk import BulkController
from middleware.cache_control import PUBLIC
from schemas.category import CategoryCreate, CategoryQuery, CategoryRead, CategoryUpdate
from services.category import CategoryService


class CategoryController(BulkController):
    service = CategoryService
    create_schema, update_schema = CategoryCreate, CategoryUpdate
    cache_control = PUBLIC
    read_schema, query_schema = CategoryRead, CategoryQuery
    example = {"name": "Lighting"}
