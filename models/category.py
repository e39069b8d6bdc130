"""The shelves of the catalog."""

from sqlalchemy import Index, String, func
from sqlalchemy.orm import Mapped, mapped_column

from models.base import Row


class Category(Row):
    __tablename__ = "categories"

    name: Mapped[str] = mapped_column(String(100), unique=True)

    __table_args__ = (Index("ix_categories_name_lower", func.lower(name), "id_key"),)
