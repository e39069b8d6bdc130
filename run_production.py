"""The shop in production: outside servers, migrated under a lock, served by UVICORN_WORKERS processes."""

import sys

from config.launcher import main

if __name__ == "__main__":
    sys.exit(main(production=True))
