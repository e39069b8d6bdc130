"""What a search for clients finds: all the words in name, e-mail and telephone, or the end of a telephone number."""

from collections.abc import Sequence

from sqlalchemy import ColumnElement, Select, Text, case, func, literal_column, select, union

from models import Client
from models.client import DIGITS_BACKWARDS, SEARCHED_TEXT, SEARCHED_WORDS
from repositories.query.list_shape import Ranking
from repositories.searched_words import asked, has_words

# What may stand in a telephone number, and so many digits that they tell one from others.
_TELEPHONE = r"^[0-9 ()+./-]{6,40}$"
_MOST = 1000

_has_words = has_words(SEARCHED_TEXT, SEARCHED_WORDS)
_asked_digits = case((asked.regexp_match(_TELEPHONE), func.regexp_replace(asked, "[^0-9]", "", "g")))
_has_telephone = literal_column(DIGITS_BACKWARDS, Text).like(
    case((func.length(_asked_digits) >= 6, func.reverse(_asked_digits).concat("%")))
)


def _few(among: Sequence[ColumnElement[bool]]) -> Select[tuple[int]]:
    rows = select(Client.id_key).where(*among)
    telephones = rows.where(_has_telephone).order_by(Client.id_key).limit(_MOST).subquery()
    keys = union(rows.where(_has_words), select(telephones)).subquery()
    return select(keys.c.id_key)


found = Client.id_key.in_(_few(()))
# All are as good as each other, so they come in the order of their keys.
ranking = Ranking(similarity=literal_column("0"), few=_few, many=_has_words, classes=())
