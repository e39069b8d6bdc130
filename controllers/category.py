"""Routes of categories."""

from controllers.bulk import BulkController
from middleware.cache_control import SHARED
from schemas.category import CategoryCreate, CategoryQuery, CategoryRead, CategoryUpdate
from security.policy import PUBLIC, needs
from services.category import CategoryService


class CategoryController(BulkController):
    reads, writes = PUBLIC, needs("catalog:write")
    service = CategoryService
    create_schema, update_schema = CategoryCreate, CategoryUpdate
    cache_control = SHARED
    read_schema, query_schema = CategoryRead, CategoryQuery
    example = {"name": "Lighting", "tax_class_id": None}
