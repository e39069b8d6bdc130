"""Processes and HTTP: the launcher, its workers, and the protocol between a connection and the application."""
