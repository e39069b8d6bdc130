"""Requests of the shop to servers of others."""
