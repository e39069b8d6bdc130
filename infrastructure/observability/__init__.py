"""What operations see: the log and its redaction, the access log, counters and their exposition."""
