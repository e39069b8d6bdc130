"""Uses of API keys: collected by each worker, and written some seconds later, so that a request writes nothing."""

from functools import partial

from infrastructure.database.engine import Database
from repositories.api_key import note_use


class KeyUses:
    """The keys that were used since the last `write`."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._used: set[int] = set()

    def note(self, key_id: int) -> None:
        """Remember that the key was used."""
        self._used.add(key_id)

    async def write(self) -> None:
        """Write down when the keys were last used. Raises `DatabaseUnavailable`; then they stay to be written."""
        used, self._used = self._used, set()
        if not used:
            return
        try:
            await self._database.run(partial(self._database.transact, partial(note_use, key_ids=used)))
        except BaseException:
            self._used |= used
            raise
