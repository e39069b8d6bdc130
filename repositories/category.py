"""Queries on categories."""

from models import Category
from repositories.base import BaseRepository
from repositories.query.filters import same


class CategoryRepository(BaseRepository[Category]):
    model = Category
    filters = {"name": same(Category.name, "name")}
