"""Queries on clients."""

from sqlalchemy import bindparam, func

from models import Client
from repositories.base import BaseRepository


class ClientRepository(BaseRepository[Client]):
    model = Client
    filters = {
        "email": Client.email_key == bindparam("email"),
        "name": func.lower(Client.name) == func.lower(bindparam("name")),
        "lastname": func.lower(Client.lastname) == func.lower(bindparam("lastname")),
    }
