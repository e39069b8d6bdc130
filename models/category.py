"""Categories of products."""

from sqlalchemy import String
from sqlalchemy.orm import Mapped, mapped_column

from models.base import Row, list_index, unique_key


class Category(Row):
    __tablename__ = "categories"

    name: Mapped[str] = mapped_column(String(100), unique=True)

    __table_args__ = (
        list_index("categories", "created_at"),
        unique_key("categories", "name"),
    )
