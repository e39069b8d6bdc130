"""Queries on categories."""

from models import Category
from repositories.base import BaseRepository
from repositories.query.lists import form_of, same


class CategoryRepository(BaseRepository[Category]):
    model = Category
    forms = {"name": form_of(Category.name)}
    filters = {"name": same(Category.name, "name")}
