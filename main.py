"""The shop: `main:app` for any ASGI server, and `python main.py`, which also starts its own database and cache."""

import gc
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fastapi import FastAPI

    from config.settings import Settings


def create_fastapi_app(settings: "Settings | None" = None) -> "FastAPI":
    """The application. It opens its connections at the start of its lifespan, and closes them at the end.

    `settings` are by default those of the environment.
    """
    from config.settings import get_settings
    from controllers.openapi.deferred_models import import_openapi_models
    from infrastructure.server.temporary_folder import find_temporary_folder

    find_temporary_folder()
    import_openapi_models()
    from application.assembly import assemble

    return assemble(settings or get_settings())


def __getattr__(name: str) -> "FastAPI":
    # `main:app` is created when a server asks for it: the launcher imports this module too, and needs no application.
    if name == "app":
        # Kept as a name of the module, so that there is only one application.
        app = globals()["app"] = create_fastapi_app()
        return app
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


if __name__ == "__main__":
    # Imports leave nothing that only the garbage collector could free, and it would take a tenth of the start. It runs
    # again when the application is imported (`infrastructure.server.worker.load`).
    gc.disable()
    from infrastructure.server.required_packages import require_packages

    require_packages()
    from infrastructure.server.launcher import main

    sys.exit(main(production=False))
