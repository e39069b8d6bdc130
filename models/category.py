"""The shelves of the catalog."""

from sqlalchemy import String
from sqlalchemy.orm import Mapped, mapped_column

from models.base import Row, listed_by, unique_by


class Category(Row):
    __tablename__ = "categories"

    name: Mapped[str] = mapped_column(String(100), unique=True)

    __table_args__ = (
        listed_by("categories", "created_at"),
        unique_by("categories", "name"),
    )
