"""What a search for products finds, and which of it comes first.

PostgreSQL's functions of migration 0011 know how texts are compared: `search_text` gives the words of any text in one
writing, and `resembling_closely` finds names that are much like others (docs/adr/0028).
"""

from collections.abc import Sequence

from sqlalchemy import (
    ColumnElement,
    Select,
    Text,
    and_,
    bindparam,
    case,
    func,
    literal,
    literal_column,
    or_,
    select,
    true,
    union_all,
)

from models import Product
from models.product import SEARCHED_SKU, SEARCHED_TEXT, SEARCHED_WORDS
from repositories.query.list_shape import Ranking

# What is longer is not compared with names to its end: every letter costs, and so many tell names apart.
_MOST_COMPARED = 64
# A name that is less alike has other words; the connections have pg_trgm go by the same number (see `infrastructure.database.engine`).
_LEAST_SIMILARITY = 0.4
# So much of a code has to be asked for before it may go on.
_SHORTEST_START = 3
# Of more names that resemble, and of more codes that begin so, the rest are not found: it takes long to look at each.
_MOST_ALIKE = 1000
# Where every letter is a word, as in scripts without spaces, half of the words of a name are nothing like it, and two
# letters the other way round are another word.
_ONLY_LETTERS = "^( [a-z0-9]| [a-z][0-9][a-z][a-z])+ $"
_TWO_LETTERS = "^( [a-z0-9]| [a-z][0-9][a-z][a-z]){1,2} $"
# What `search_text` gives for a text without words.
_NOTHING = "  "

_asked = bindparam("q", type_=Text)
_asked_words = func.search_text(_asked, False)
_asked_code = func.nullif(func.replace(_asked_words, " ", ""), "")
_like_names = func.nullif(func.search_text(func.left(_asked, _MOST_COMPARED), True), _NOTHING)

# None of these is true of any product where nothing that is asked for is a letter or a digit.
_has_in_name = Product.search_name.like(
    literal("%").concat(func.nullif(func.search_text(_asked, True), _NOTHING)).concat("%")
)
_code = literal_column(SEARCHED_SKU, Text)
_has_code = _code == _asked_code
_has_start_of_code = _code.like(
    case((func.length(_asked_code) >= _SHORTEST_START, _asked_code.concat("%")), else_=_asked_code)
)
_phrases = func.search_phrases(_asked)
_has_words = and_(
    literal_column(SEARCHED_WORDS).bool_op("@>")(func.string_to_array(func.nullif(func.btrim(_asked_words), ""), " ")),
    # The index knows which words there are, and not in which order. PostgreSQL looks only where it has to.
    case(
        (func.cardinality(_phrases) == 0, true()),
        else_=literal_column(SEARCHED_TEXT, Text).bool_op("~~")(func.all(_phrases)),
    ),
)
_similarity = func.word_similarity(_like_names, Product.search_name)


def _few(among: Sequence[ColumnElement[bool]]) -> Select[tuple[int]]:
    """The keys of what is found where few products have all the words, of those that fulfil the conditions `among`."""
    rows = select(Product.id_key).where(*among)
    first = rows.order_by(Product.id_key).limit(_MOST_ALIKE)
    only_letters = _like_names.regexp_match(_ONLY_LETTERS)
    alike = first.where(Product.search_name.bool_op("%>")(_like_names), ~only_letters).cte("alike")
    # Of very many names that resemble, the closest are found in any case.
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
