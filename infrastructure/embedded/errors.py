"""The error of an embedded server that cannot be used."""


class EmbeddedServerError(RuntimeError):
    """An embedded server cannot be used; the message is one line with the reason and the remedy."""
