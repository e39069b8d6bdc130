"""What is said of an embedded server that cannot be used."""


class EmbeddedServerError(RuntimeError):
    """An embedded server cannot be used; the message is one line that says why and what helps."""
