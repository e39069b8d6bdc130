"""Servers of the distribution, as operators run them: what needs one is skipped where it is not installed."""
