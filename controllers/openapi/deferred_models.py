"""FastAPI's models of the OpenAPI document, built at the first request of the document and not at every start.

To build the validators of these 37 models takes a tenth of the import of the application.
"""

from importlib import import_module

from pydantic import BaseModel


def import_openapi_models() -> None:
    """Import them so that pydantic builds each at its first use. Must be called before FastAPI is imported."""
    BaseModel.model_config["defer_build"] = True
    try:
        import_module("fastapi.openapi.models")
    finally:
        del BaseModel.model_config["defer_build"]
