"""The HTTP methods that the shop knows, and what each group of them may do."""

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
# They ask for a representation of a resource; HEAD for its headers alone.
READS = frozenset(("GET", "HEAD"))
# RFC 9110: they change nothing.
SAFE = READS | {"OPTIONS", "TRACE"}
