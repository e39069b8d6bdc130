"""The embedded PostgreSQL and Valkey, from wheels: found, started as a user of their own, taken over and ended."""
