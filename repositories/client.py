"""Queries on clients."""

from sqlalchemy import bindparam

from models import Client
from repositories.base import BaseRepository
from repositories.query.filters import same


class ClientRepository(BaseRepository[Client]):
    model = Client
    owner = "id_key"
    filters = {
        # `ClientQuery` has turned the address into its key.
        "email": Client.email_key == bindparam("email"),
        "name": same(Client.name, "name"),
        "lastname": same(Client.lastname, "lastname"),
    }
