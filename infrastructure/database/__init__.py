"""PostgreSQL: the engine, the async connection pool, limits of statements, error codes and migrations."""
