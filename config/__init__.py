"""The ground every layer may stand on: settings, database, Redis, logging and the embedded servers."""
