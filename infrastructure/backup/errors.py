"""What can go wrong with a backup, in one line for the operator."""


class BackupError(RuntimeError):
    """A backup cannot be made, read or restored; the message is one line, which says what to do."""
