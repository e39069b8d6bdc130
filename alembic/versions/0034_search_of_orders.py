"""A search for clients, by their words and telephones, and for orders, by what they point to.

Revision ID: 0034
Revises: 0033
"""

import sqlalchemy as sa
from alembic import op

revision = "0034"
down_revision = "0033"
branch_labels = None
depends_on = None

_TEXT = "search_text((((((name || ' ') || lastname) || ' ') || email) || ' ') || coalesce(telephone, ''), false)"
_WORDS = f"string_to_array(btrim({_TEXT}), ' ')"
_DIGITS_BACKWARDS = "reverse(regexp_replace(telephone, '[^0-9]', '', 'g'))"

# The orders that have all the words of one part of a search, in one of the places where they are looked for; and whether
# these are all. A word of very many is not followed further: nothing here grows with the shop.
_ORDERS_OF_WORDS = f"""
CREATE FUNCTION orders_of_words(part text, OUT keys bigint[], OUT is_all boolean) LANGUAGE plpgsql STABLE STRICT
AS $$
DECLARE
    most CONSTANT integer := 1000;
    found text := search_text(part, false);
    words text[] := string_to_array(btrim(found), ' ');
    buyers bigint[];
    goods bigint[];
    bought bigint[];
    sold bigint[];
BEGIN
    -- Planned for these words: how many have them decides how they are found.
    EXECUTE $sql$
        SELECT array(SELECT id_key FROM clients WHERE {_WORDS} @> $1 AND (cardinality($1) = 1 OR {_TEXT} LIKE $2) LIMIT $3)
    $sql$ INTO buyers USING words, '%' || found || '%', most;
    EXECUTE 'SELECT array(SELECT id_key FROM products WHERE search_name LIKE $1 LIMIT $2)'
        INTO goods USING '%' || search_text(part, true) || '%', most;
    bought := array(SELECT id_key FROM orders WHERE client_id = ANY (buyers) LIMIT most);
    sold := array(SELECT order_id FROM order_details WHERE product_id = ANY (goods) LIMIT most);
    is_all := greatest(cardinality(buyers), cardinality(goods), cardinality(bought), cardinality(sold)) < most;
    keys := array(
        SELECT unnest(bought) UNION SELECT unnest(sold)
        UNION SELECT orders.id_key FROM bills JOIN orders ON orders.bill_id = bills.id_key
            WHERE text_key(bill_number) = text_key(part)
        UNION SELECT id_key FROM orders
            WHERE id_key = CASE WHEN btrim(found) ~ '^[0-9]+$' AND length(found) < 21 THEN btrim(found)::bigint END
    );
END
$$
"""
# The same for one order, for words that too many have.
_ORDER_HAS_WORDS = f"""
CREATE FUNCTION order_has_words(id bigint, client bigint, part text, words text, words_of_name text) RETURNS boolean
LANGUAGE plpgsql STABLE
AS $$
BEGIN
    RETURN btrim(words) = id::text
        OR EXISTS (
            SELECT FROM order_details JOIN products ON products.id_key = product_id
            WHERE order_id = id AND search_name LIKE '%' || words_of_name || '%'
        )
        OR EXISTS (SELECT FROM clients WHERE id_key = client AND {_TEXT} LIKE '%' || words || '%')
        OR EXISTS (
            SELECT FROM orders JOIN bills ON bills.id_key = bill_id
            WHERE orders.id_key = id AND text_key(bill_number) = text_key(part)
        );
END
$$
"""
# It begins with the parts whose orders are all known, and looks at each of these orders for the other parts. The orders of one
# client are looked at one by one.
_FIND_ORDERS = r"""
CREATE FUNCTION find_orders(asked text, of_client bigint) RETURNS SETOF bigint LANGUAGE plpgsql STABLE ROWS 1000
AS $$
DECLARE
    parts text[] := array(
        SELECT DISTINCT part FROM regexp_split_to_table(asked, '\s+') AS part WHERE btrim(search_text(part, false)) <> ''
    );
    words text[] := array(SELECT search_text(one, false) FROM unnest(parts) AS one);
    words_of_names text[] := array(SELECT search_text(one, true) FROM unnest(parts) AS one);
    part text;
    of_part record;
    best bigint[];
    best_is_all boolean := false;
    known text[] := '{}';
BEGIN
    IF cardinality(parts) = 0 THEN
        RETURN;
    END IF;
    IF of_client IS NOT NULL THEN
        best := array(SELECT id_key FROM orders WHERE client_id = of_client ORDER BY id_key DESC LIMIT 1000);
    ELSE
        FOREACH part IN ARRAY parts LOOP
            of_part := orders_of_words(part);
            IF of_part.is_all THEN
                known := known || part;
                IF best_is_all THEN
                    best := array(SELECT unnest(best) INTERSECT SELECT unnest(of_part.keys));
                ELSE
                    best := of_part.keys;
                END IF;
                best_is_all := true;
            ELSIF best IS NULL THEN
                best := of_part.keys;
            END IF;
        END LOOP;
    END IF;
    IF of_client IS NULL AND NOT best_is_all AND cardinality(parts) = 1 THEN
        known := parts;
    END IF;
    RETURN QUERY SELECT orders.id_key FROM orders WHERE orders.id_key = ANY (best) AND NOT EXISTS (
        SELECT FROM unnest(parts, words, words_of_names) AS asked_part (part, words, words_of_name)
        WHERE asked_part.part <> ALL (known) AND NOT order_has_words(
            orders.id_key, orders.client_id, asked_part.part, asked_part.words, asked_part.words_of_name
        )
    )
    -- The number of a bill may have spaces.
    UNION SELECT orders.id_key FROM bills JOIN orders ON orders.bill_id = bills.id_key
        WHERE text_key(bill_number) = text_key(asked);
END
$$
"""


def upgrade() -> None:
    op.create_index("ix_clients_words", "clients", [sa.text(_WORDS)], postgresql_using="gin")
    op.execute(f"CREATE INDEX ix_clients_telephone_end ON clients ({_DIGITS_BACKWARDS} text_pattern_ops)")
    for function in (_ORDERS_OF_WORDS, _ORDER_HAS_WORDS, _FIND_ORDERS):
        op.execute(function)


def downgrade() -> None:
    op.execute("DROP FUNCTION find_orders(text, bigint)")
    op.execute("DROP FUNCTION order_has_words(bigint, bigint, text, text, text)")
    op.execute("DROP FUNCTION orders_of_words(text)")
    op.drop_index("ix_clients_telephone_end", table_name="clients")
    op.drop_index("ix_clients_words", table_name="clients")
