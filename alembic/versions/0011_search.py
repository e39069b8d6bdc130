r"""A search that finds words of any script, in names, codes and descriptions, whatever the locale of the server.

Revision ID: 0011
Revises: 0010
"""

import sys

import sqlalchemy as sa
from alembic import context, op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

# Marks that carry no word by themselves, and what cannot be seen: accents, vowel points, tones, joiners, selectors.
_MARKS = (
    r"\u00AD\u0300-\u036F\u0483-\u0489\u0591-\u05BD\u05BF\u05C1\u05C2\u05C4\u05C5\u05C7\u0610-\u061A\u0640\u064B-\u065F"
    r"\u0670\u06D6-\u06DC\u06DF-\u06E8\u06EA-\u06ED\u093C\u094D\u0951-\u0954\u09BC\u09CD\u0A3C\u0A4D\u0ABC\u0ACD\u0B3C"
    r"\u0B4D\u0BCD\u0C4D\u0CBC\u0CCD\u0D3B\u0D3C\u0D4D\u0DCA\u0E47-\u0E4C\u0E4E\u0EBA\u0EC8-\u0ECC\u0F39\u0F84\u1037\u1039"
    r"\u103A\u115F\u1160\u135D-\u135F\u17C9-\u17D3\u17DD\u180B-\u180F\u1AB0-\u1AFF\u1DC0-\u1DFF\u200B-\u200F\u202A-\u202E"
    r"\u2060-\u206F\u20D0-\u20FF\uFE00-\uFE0F\uFE20-\uFE2F\uFEFF\U000E0000-\U000E01EF"
)
# Letters of scripts that put no spaces between words: Thai, Lao, Burmese, Khmer, Japanese, Chinese.
_UNSPACED = (
    r"\u0E01-\u0E4E\u0E80-\u0ECF\u1000-\u103F\u1050-\u108F\u1780-\u17D3\u2E80-\u2FDF\u3005-\u3007\u3031-\u3035"
    r"\u3041-\u3096\u309D-\u309F\u30A1-\u30FA\u30FC-\u30FF\u3105-\u312F\u31A0-\u31BF\u31F0-\u31FF\u3400-\u4DBF"
    r"\u4E00-\u9FFF\uF900-\uFAFF\U00020000-\U000323AF"
)
# The words of a text in one writing, each between two spaces. Case, accents and the width of letters make no difference,
# and a letter of an unspaced script is a word by itself. `as_ascii` writes each letter beyond ASCII as four signs, no two
# letters alike: pg_trgm asks the locale of the server what a letter is, and all locales know these.
_SEARCH_TEXT = rf"""
CREATE FUNCTION search_text(value text, as_ascii boolean) RETURNS text
LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE COST 5000
AS $body$
BEGIN
    IF octet_length(value) = length(value) THEN
        RETURN ' ' || btrim(regexp_replace(lower(value COLLATE "C"), '[^a-z0-9]+', ' ', 'g')) || ' ';
    END IF;
    value := normalize(regexp_replace(normalize(value, NFKD), '[{_MARKS}]+', '', 'g'), NFC);
    value := translate(lower(value COLLATE LETTERS), 'øłđðħŧıς', 'olddhtiσ');
    value := replace(replace(replace(replace(value, 'ß', 'ss'), 'æ', 'ae'), 'œ', 'oe'), 'þ', 'th');
    value := regexp_replace(value, '([{_UNSPACED}])', ' \1 ', 'g');
    value := ' ' || btrim(regexp_replace(value COLLATE LETTERS, '(\W|_)+', ' ', 'g')) || ' ';
    IF NOT as_ascii OR octet_length(value) = length(value) THEN
        RETURN value;
    END IF;
    RETURN (
        SELECT string_agg(
            CASE WHEN number < 128 * 1009 THEN letter ELSE
                chr(97 + number % 26) || number / 26 % 10 || chr(97 + number / 260 % 26) || chr(97 + number / 6760 % 26)
            END, '' ORDER BY place)
        FROM unnest(string_to_array(value, NULL)) WITH ORDINALITY AS letters (letter, place),
            LATERAL (SELECT ascii(letter) * 1009) AS numbers (number)
    );
END
$body$
"""
# The first of these that the server has: it tells letters from signs, and small letters from capitals. Those further down
# know fewer scripts, the last what the database's locale knows.
_LETTERS = ("pg_unicode_fast", "und-x-icu", "pg_c_utf8", "C.utf8", "C.UTF-8", "en_US.utf8", "default")
_CREATE_SEARCH_TEXT = f"""
DO $do$
DECLARE
    letters text := (
        SELECT quote_ident(collname) FROM unnest(ARRAY{list(_LETTERS)}) WITH ORDINALITY AS known (name, place)
        JOIN pg_collation ON collname = name
        WHERE collnamespace = 'pg_catalog'::regnamespace
            AND collencoding IN (-1, (SELECT encoding FROM pg_database WHERE datname = current_database()))
        ORDER BY place LIMIT 1
    );
BEGIN
    EXECUTE replace($function${_SEARCH_TEXT}$function$, 'LETTERS', letters);
END
$do$
"""
# Patterns of what has to stand together in the words of a text: what was written without a space and is several words.
_SEARCH_PHRASES = r"""
CREATE FUNCTION search_phrases(asked text) RETURNS text[] LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
AS $$
    SELECT array(
        SELECT '%' || phrase || '%' FROM regexp_split_to_table(asked, '\s+') AS part, search_text(part, false) AS phrase
        WHERE phrase LIKE '_% _% '
    )
$$
"""
# Names that closely resemble `words`, which `search_text` wrote as ASCII. How alike they must be is a setting that
# PostgreSQL reads when it walks the trigram index. A function has its own.
_RESEMBLING_CLOSELY = """
CREATE FUNCTION resembling_closely(words text) RETURNS SETOF bigint LANGUAGE sql STABLE STRICT ROWS 20
SET pg_trgm.word_similarity_threshold = 0.7
AS $$ SELECT id_key FROM products WHERE search_name %> words ORDER BY id_key LIMIT 1000 $$
"""
# A generated column would be made anew by every sale, because a row of `products` has a trigger before updates (0008).
# Also for rows that are replicated or restored, which is done without a search path, and without triggers unless always.
_WRITE_SEARCH_NAME = """
CREATE FUNCTION write_search_name() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
    NEW.search_name := search_text(NEW.name, true);
    RETURN NEW;
END
$$
"""
_WHEN_NAMED = """
CREATE TRIGGER write_search_name BEFORE INSERT OR UPDATE OF name, search_name ON products
FOR EACH ROW EXECUTE FUNCTION write_search_name()
"""
_WORDS = (
    "string_to_array(btrim("
    "search_text((((name || ' ') || coalesce(sku, '')) || ' ') || coalesce(description, ''), false)), ' ')"
)


def upgrade() -> None:
    op.execute(_CREATE_SEARCH_TEXT)
    op.execute(_SEARCH_PHRASES)
    _tell()
    op.drop_index("ix_products_name_trigram", table_name="products")
    # Written by generating it, so that it is no change of a product.
    generated = sa.Computed("search_text(name, true)", persisted=True)
    op.add_column("products", sa.Column("search_name", sa.Text(), generated, nullable=False))
    op.execute("ALTER TABLE products ALTER COLUMN search_name DROP EXPRESSION")
    op.execute(_WRITE_SEARCH_NAME)
    op.execute(_WHEN_NAMED)
    op.execute("ALTER TABLE products ENABLE ALWAYS TRIGGER write_search_name")
    op.execute("ALTER TABLE products ALTER COLUMN name SET STATISTICS -1, ALTER COLUMN search_name SET STATISTICS 300")
    op.create_index(
        "ix_products_search_name",
        "products",
        ["search_name"],
        postgresql_using="gin",
        postgresql_ops={"search_name": "gin_trgm_ops"},
    )
    op.create_index("ix_products_words", "products", [sa.text(_WORDS)], postgresql_using="gin")
    op.execute(
        "CREATE INDEX ix_products_sku_start ON products (replace(search_text(sku, false), ' ', '') text_pattern_ops)"
    )
    # `similar_products` stays: the version before this one asks it, and may run until all its workers are replaced.
    op.execute(_RESEMBLING_CLOSELY)


def downgrade() -> None:
    op.execute("DROP FUNCTION resembling_closely(text)")
    for index in ("ix_products_sku_start", "ix_products_words", "ix_products_search_name"):
        op.drop_index(index, table_name="products")
    op.execute("DROP TRIGGER write_search_name ON products")
    op.execute("DROP FUNCTION write_search_name()")
    op.drop_column("products", "search_name")
    op.execute("ALTER TABLE products ALTER COLUMN name SET STATISTICS 300")
    op.create_index(
        "ix_products_name_trigram",
        "products",
        ["name"],
        postgresql_using="gin",
        postgresql_ops={"name": "gin_trgm_ops"},
    )
    op.execute("DROP FUNCTION search_phrases(text)")
    op.execute("DROP FUNCTION search_text(text, boolean)")


def _tell() -> None:
    """Say in one line that what is there is converted, which takes a while where it is much."""
    if context.is_offline_mode():
        return
    products = op.get_bind().scalar(sa.text("SELECT count(*) FROM products"))
    if products:
        sys.stderr.write(f"The search is made ready for words of every script: {products} products are converted\n")
