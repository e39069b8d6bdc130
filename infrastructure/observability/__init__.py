"""The log, its redaction, the access log, and metrics."""
