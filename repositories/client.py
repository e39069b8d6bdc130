"""Queries on clients."""

from sqlalchemy import bindparam

from models import Client
from repositories.base import BaseRepository
from repositories.event_writing import Told
from repositories.query.filters import same
from schemas.client import ClientRead


class ClientRepository(BaseRepository[Client]):
    model = Client
    told = Told(Client, ClientRead, "client")
    owner = "id_key"
    filters = {
        # `ClientQuery` has turned the address into its key.
        "email": Client.email_key == bindparam("email"),
        "name": same(Client.name, "name"),
        "lastname": same(Client.lastname, "lastname"),
    }
