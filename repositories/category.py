"""Queries on categories."""

from models import Category
from repositories.base import BaseRepository
from repositories.event_writing import Told
from repositories.query.filters import same
from schemas.category import CategoryRead


class CategoryRepository(BaseRepository[Category]):
    model = Category
    told = Told(Category, CategoryRead, "category")
    filters = {"name": same(Category.name, "name")}
