"""Whole tables in and out of PostgreSQL by COPY."""
