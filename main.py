"""The shop: `main:app` for any ASGI server, and `python main.py` to run it on servers of its own."""

import gc
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fastapi import FastAPI

    from config.settings import Settings


def create_fastapi_app(settings: "Settings | None" = None) -> "FastAPI":
    """The application, which opens its connections when a server starts it and closes them at the end.

    `settings` are those of the environment unless given.
    """
    from config.settings import get_settings
    from controllers.openapi.deferred_models import import_openapi_models

    import_openapi_models()
    from application.assembly import assemble

    return assemble(settings or get_settings())


def __getattr__(name: str) -> "FastAPI":
    # `main:app` is made when a server asks for it: the launcher below imports this module too, and needs none.
    if name == "app":
        # Kept as an ordinary name of the module, so that everybody gets the same application.
        app = globals()["app"] = create_fastapi_app()
        return app
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


if __name__ == "__main__":
    # Imports leave nothing that only the collector could free, and to look for it takes a tenth of the start. It works
    # again when the application is there (`infrastructure.server.worker.load`).
    gc.disable()
    from infrastructure.server.required_packages import require_packages

    require_packages()
    from infrastructure.server.launcher import main

    sys.exit(main(production=False))
