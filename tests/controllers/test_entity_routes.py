"""Customers are let in to what is theirs where somebody says whose the rows are."""

import pytest

from controllers.entity_routes import EntityRoutes
from controllers.product import ProductController
from schemas.category import CategoryCreate, CategoryQuery, CategoryRead, CategoryUpdate
from security.policy import PUBLIC, needs
from services.category import CategoryService

pytestmark = pytest.mark.unit


class OwnCategories(EntityRoutes):
    reads, writes = needs("catalog:write", or_own=True), needs("catalog:write")
    service = CategoryService
    create_schema, update_schema = CategoryCreate, CategoryUpdate
    read_schema, query_schema = CategoryRead, CategoryQuery
    example = {"name": "Lighting"}


def test_customers_are_let_in_to_nothing_that_nobody_owns() -> None:
    with pytest.raises(RuntimeError, match="categories: whose are the rows"):
        OwnCategories()
    OwnCategories.reads = PUBLIC
    assert OwnCategories().path == "/categories"
    assert ProductController().path == "/products"
