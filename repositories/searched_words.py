"""What a search asks for, and the condition that a text has all of it: for every table that is searched.

Texts are compared by functions of migration 0011 in PostgreSQL: `search_text` gives the words of any text in one
writing (docs/adr/0028).
"""

from sqlalchemy import ColumnElement, Text, and_, bindparam, case, func, literal_column, true

asked = bindparam("q", type_=Text)
asked_words = func.search_text(asked, False)
_phrases = func.search_phrases(asked)


def has_words(text: str, words: str) -> ColumnElement[bool]:
    """Whether the SQL expression `text` has all the words; `words` is their array, by an index. Without a word, none has."""
    return and_(
        literal_column(words).bool_op("@>")(func.string_to_array(func.nullif(func.btrim(asked_words), ""), " ")),
        # The index has the words and not their order. The order is compared only where the search has a phrase.
        case(
            (func.cardinality(_phrases) == 0, true()),
            else_=literal_column(text, Text).bool_op("~~")(func.all(_phrases)),
        ),
    )
