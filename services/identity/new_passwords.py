"""New passwords: those in the bodies of users, checked and hashed before the transaction that stores them."""

from collections.abc import Mapping, Sequence
from typing import Any

from repositories.base import is_key
from repositories.user import UserRepository
from security.password_rules import weakness
from services.errors import InvalidField
from services.executor import Executor
from services.identity.password_threads import PasswordThreads

# The most rows with passwords of one request: some seconds of hashing, one after the other.
MOST_PASSWORDS = 100

_NAMES = ("username", "full_name", "email")


class NewPasswords:
    """Puts the hash where the password was."""

    def __init__(self, executor: Executor, threads: PasswordThreads) -> None:
        self._executor, self._threads = executor, threads

    async def replace(self, rows: Sequence[dict[str, Any]], row_ids: Sequence[int | None], in_bulk: bool) -> None:
        """Replace `password` by `password_hash` in these bodies, of new rows or of the users with these keys.

        Raises `InvalidField` for a password that is too easily guessed, and for too many; `Unavailable` when too many
        wait to be hashed.
        """
        places = [place for place, row in enumerate(rows) if "password" in row]
        if len(places) > MOST_PASSWORDS:
            text = f"at most {MOST_PASSWORDS} rows of a request have a password"
            raise InvalidField(("body", places[MOST_PASSWORDS], "password"), text)
        for place in places:
            names = {**await self._stored_names(row_ids[place]), **rows[place]}
            reason = weakness(rows[place]["password"], [names.get(name) for name in _NAMES])
            if reason is not None:
                raise InvalidField(("body", place, "password") if in_bulk else ("body", "password"), reason)
        for place in places:
            rows[place]["password_hash"] = await self._threads.hashed(rows[place].pop("password"))

    async def _stored_names(self, row_id: int | None) -> Mapping[str, Any]:
        if row_id is None or not is_key(row_id):
            return {}
        row = await self._executor.read(UserRepository.row_query(row_id, _NAMES))
        return {} if row is None else dict(zip(_NAMES, row, strict=True))
