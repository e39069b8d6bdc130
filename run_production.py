"""The shop in production: outside servers, migrated under a lock, served by UVICORN_WORKERS processes."""

import gc
import sys

if __name__ == "__main__":
    # As in main.py.
    gc.disable()
    from infrastructure.server.required_packages import require_packages

    require_packages()
    from infrastructure.server.launcher import main

    sys.exit(main(production=True))
