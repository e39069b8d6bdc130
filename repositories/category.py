"""Queries on categories."""

from sqlalchemy import bindparam, func

from models import Category
from repositories.base import BaseRepository


class CategoryRepository(BaseRepository[Category]):
    model = Category
    filters = {"name": func.lower(Category.name) == func.lower(bindparam("name"))}
