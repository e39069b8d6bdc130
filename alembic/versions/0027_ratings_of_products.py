"""Ratings of products: how many reviews each has, and their average.

Revision ID: 0027
Revises: 0026
"""

import sqlalchemy as sa
from alembic import op

revision = "0027"
down_revision = "0026"
branch_labels = None
depends_on = None

# Rows may be restored without a search path, so the function names the schema of the table.
_IN_SCHEMA = "DO $do$ BEGIN EXECUTE format($function${text}$function$, current_schema()); END $do$"
# Once for each statement, whatever it changes. Its products are locked by their keys first, as everywhere, and only the
# statement behind the locks reads the figures: two reviews of one moment both count.
_COUNT_REVIEWS = """
CREATE FUNCTION count_reviews() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    keys bigint[];
    numbers bigint[];
    ratings numeric[];
BEGIN
    IF TG_OP = 'INSERT' THEN
        SELECT array_agg(product_id), array_agg(number), array_agg(rating) INTO keys, numbers, ratings FROM (
            SELECT product_id, count(*) AS number, sum(rating) AS rating FROM added GROUP BY product_id
        ) AS changes;
    ELSIF TG_OP = 'DELETE' THEN
        SELECT array_agg(product_id), array_agg(number), array_agg(rating) INTO keys, numbers, ratings FROM (
            SELECT product_id, -count(*) AS number, -sum(rating) AS rating FROM removed GROUP BY product_id
        ) AS changes;
    ELSE
        SELECT array_agg(product_id), array_agg(number), array_agg(rating) INTO keys, numbers, ratings FROM (
            SELECT product_id, sum(number) AS number, sum(rating) AS rating FROM (
                SELECT product_id, 1 AS number, rating FROM added
                UNION ALL SELECT product_id, -1, -rating FROM removed
            ) AS both_sides GROUP BY product_id HAVING sum(number) <> 0 OR sum(rating) <> 0
        ) AS changes;
    END IF;
    IF keys IS NULL THEN
        RETURN NULL;
    END IF;
    PERFORM FROM %1$I.products WHERE id_key = ANY (keys) ORDER BY id_key FOR NO KEY UPDATE;
    UPDATE %1$I.products SET
        review_count = review_count + changes.number,
        rating_sum = rating_sum + changes.rating,
        rating_average = round((rating_sum + changes.rating) / nullif(review_count + changes.number, 0), 2)
    FROM unnest(keys, numbers, ratings) AS changes (product_id, number, rating)
    WHERE products.id_key = changes.product_id;
    RETURN NULL;
END
$$
"""
_TRIGGERS = {
    "count_new_reviews": "AFTER INSERT ON reviews REFERENCING NEW TABLE AS added",
    "count_changed_reviews": "AFTER UPDATE ON reviews REFERENCING OLD TABLE AS removed NEW TABLE AS added",
    "count_deleted_reviews": "AFTER DELETE ON reviews REFERENCING OLD TABLE AS removed",
}
# A review disturbs nobody's edit of the product.
_MOVE_VERSION = """
    CREATE TRIGGER move_version BEFORE UPDATE ON products FOR EACH ROW
    WHEN (NEW.updated_at <= OLD.updated_at{but}) EXECUTE FUNCTION move_version()
"""
_NOT_RATED = (
    " AND (OLD.review_count, OLD.rating_sum, OLD.rating_average)"
    " IS NOT DISTINCT FROM (NEW.review_count, NEW.rating_sum, NEW.rating_average)"
)
_FILL = """
    UPDATE products SET
        review_count = rated.number, rating_sum = rated.rating, rating_average = round(rated.rating / rated.number, 2)
    FROM (SELECT product_id, count(*) AS number, sum(rating) AS rating FROM reviews GROUP BY product_id) AS rated
    WHERE products.id_key = rated.product_id
"""


def upgrade() -> None:
    op.add_column("products", sa.Column("review_count", sa.BigInteger(), server_default="0", nullable=False))
    op.add_column("products", sa.Column("rating_sum", sa.Numeric(), server_default="0", nullable=False))
    op.add_column("products", sa.Column("rating_average", sa.Numeric(3, 2), nullable=True))
    op.execute("DROP TRIGGER move_version ON products")
    op.execute(_MOVE_VERSION.format(but=_NOT_RATED))
    op.execute(_IN_SCHEMA.format(text=_COUNT_REVIEWS))
    for name, moment in _TRIGGERS.items():
        op.execute(f"CREATE TRIGGER {name} {moment} FOR EACH STATEMENT EXECUTE FUNCTION count_reviews()")
    op.execute(_FILL)


def downgrade() -> None:
    for name in _TRIGGERS:
        op.execute(f"DROP TRIGGER {name} ON reviews")
    op.execute("DROP FUNCTION count_reviews()")
    op.execute("DROP TRIGGER move_version ON products")
    op.execute(_MOVE_VERSION.format(but=""))
    for column in ("rating_average", "rating_sum", "review_count"):
        op.drop_column("products", column)
