"""Puts the application together, and owns what a worker owns from its first request to its last."""
