"""The response of `/`: the index of the service."""

from pydantic import BaseModel, Field


class Index(BaseModel):
    """Where things are: paths of this server."""

    name: str
    version: str
    docs: str
    redoc: str
    openapi: str
    health: str
    resources: dict[str, str] = Field(description="The path of each resource, by its name")
