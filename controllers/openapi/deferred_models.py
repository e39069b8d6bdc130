"""FastAPI's models of the OpenAPI document, built when somebody asks for the document and not at every start.

They are 37, and to build their validators takes a tenth of what importing the application does.
"""

from importlib import import_module

from pydantic import BaseModel


def import_openapi_models() -> None:
    """Import them such that pydantic builds each at its first use. To be called before anybody imports FastAPI."""
    BaseModel.model_config["defer_build"] = True
    try:
        import_module("fastapi.openapi.models")
    finally:
        del BaseModel.model_config["defer_build"]
