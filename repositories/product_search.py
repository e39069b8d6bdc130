"""What a search for products finds, and which of it comes first.

Texts are compared by functions of migration 0011 in PostgreSQL: `search_text` gives the words of any text in one
writing, and `resembling_closely` finds very similar names (docs/adr/0028).
"""

from collections.abc import Sequence

from sqlalchemy import (
    ColumnElement,
    Select,
    Text,
    and_,
    case,
    func,
    literal,
    literal_column,
    or_,
    select,
    union_all,
)

from models import Product
from models.product import SEARCHED_SKU, SEARCHED_TEXT, SEARCHED_WORDS
from repositories.query.list_shape import Ranking
from repositories.searched_words import asked, asked_words, has_words

# Of a longer text only so many letters are compared with names: every letter costs, and these tell names apart.
_MOST_COMPARED = 64
# A less similar name has other words. pg_trgm has the same threshold (see `infrastructure.database.session_engine`).
_LEAST_SIMILARITY = 0.4
# A search for so much of a code also finds codes that begin so.
_SHORTEST_START = 3
# At most so many similar names, and so many codes that begin so, are found: each takes time.
_MOST_ALIKE = 1000
# Where every letter is a word, as in scripts without spaces, a name with half of the words is not similar, and two
# letters in the other order are another word.
_ONLY_LETTERS = "^( [a-z0-9]| [a-z][0-9][a-z][a-z])+ $"
_TWO_LETTERS = "^( [a-z0-9]| [a-z][0-9][a-z][a-z]){1,2} $"
# The result of `search_text` for a text without words.
_NOTHING = "  "

_asked_code = func.nullif(func.replace(asked_words, " ", ""), "")
_like_names = func.nullif(func.search_text(func.left(asked, _MOST_COMPARED), True), _NOTHING)

# No product fulfils any of these where the search has no letter and no digit.
_has_in_name = Product.search_name.like(
    literal("%").concat(func.nullif(func.search_text(asked, True), _NOTHING)).concat("%")
)
_code = literal_column(SEARCHED_SKU, Text)
_has_code = _code == _asked_code
_has_start_of_code = _code.like(
    case((func.length(_asked_code) >= _SHORTEST_START, _asked_code.concat("%")), else_=_asked_code)
)
_has_words = has_words(SEARCHED_TEXT, SEARCHED_WORDS)
_similarity = func.word_similarity(_like_names, Product.search_name)


def _few(among: Sequence[ColumnElement[bool]]) -> Select[tuple[int]]:
    """The keys of the matches where few products have all the words, of those that fulfil the conditions `among`."""
    rows = select(Product.id_key).where(*among)
    first = rows.order_by(Product.id_key).limit(_MOST_ALIKE)
    only_letters = _like_names.regexp_match(_ONLY_LETTERS)
    alike = first.where(Product.search_name.bool_op("%>")(_like_names), ~only_letters).cte("alike")
    # Of very many similar names, the most similar are found in any case.
    are_more = select(func.count() == _MOST_ALIKE).select_from(alike).scalar_subquery()
    closely = select(func.resembling_closely(_like_names)).where(
        or_(only_letters, are_more), ~_like_names.regexp_match(_TWO_LETTERS)
    )
    codes = first.where(_has_start_of_code).subquery()
    keys = union_all(rows.where(_has_words), select(alike), closely, rows.where(_has_code), select(codes)).subquery()
    return select(keys.c.id_key)


found = Product.id_key.in_(_few(()))
ranking = Ranking(
    # The words as they stand in the name; names that resemble them; then codes, then what else has them all. It is a share
    # of some hundred parts at most, so that none comes as near to the bound as codes do.
    similarity=case(
        (_has_in_name, 2),
        else_=func.greatest(
            _similarity,
            case((_has_code, _LEAST_SIMILARITY - 1e-5), (_has_start_of_code, _LEAST_SIMILARITY - 2e-5), else_=0),
        ),
    ),
    few=_few,
    many=_has_words,
    classes=(_has_in_name, and_(_has_code, _has_words)),
)
