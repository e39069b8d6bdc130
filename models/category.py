"""Categories of products."""

from sqlalchemy import String
from sqlalchemy.orm import Mapped, mapped_column

from models.base import Row, list_index, reference, tax_class_index, unique_key


class Category(Row):
    __tablename__ = "categories"

    name: Mapped[str] = mapped_column(String(100), unique=True)
    # That of its products which have none of their own; without one they are of the class `standard`.
    tax_class_id: Mapped[int | None] = mapped_column(reference("tax_classes.id_key"))

    __table_args__ = (
        list_index("categories", "created_at"),
        tax_class_index("categories"),
        unique_key("categories", "name"),
    )
