"""Mails as files, for a shop without a mail server: each is an .eml file that mail programs open."""

import asyncio
import os
from email.message import EmailMessage
from pathlib import Path

from config.settings import Settings
from infrastructure.embedded.servers import data_folder


class MailFolder:
    """Writes mails into this folder, whole or not at all, and readable by nobody but the owner of the process."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    async def deliver(self, message: EmailMessage) -> None:
        """Write the file of the message; one that is delivered again has the same name. Raises `OSError`."""
        await asyncio.to_thread(self._write, message)

    def _write(self, message: EmailMessage) -> None:
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        # The id is made by the shop, of characters that names of files may have.
        name = str(message["Message-ID"]).strip("<>").partition("@")[0] + ".eml"
        temporary = self._folder / f".{name}.{os.getpid()}"
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600)
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(message.as_bytes())
                file.flush()
                os.fsync(file.fileno())
            temporary.rename(self._folder / name)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise


def mail_folder(settings: Settings) -> Path:
    """The folder of the mails of a shop that has no mail server."""
    return data_folder(settings) / "mail"
