"""The embedded PostgreSQL and Valkey, from wheels: found, started as users of their own, taken over and stopped."""
