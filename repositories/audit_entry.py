"""Queries on the audit trail."""

from typing import Any

from sqlalchemy import bindparam

from models import AuditEntry
from repositories.base import BaseRepository
from repositories.query.filters import by_value


class AuditEntryRepository(BaseRepository[Any]):
    model = AuditEntry
    filters = {
        **by_value(resource_id=AuditEntry.resource_id),
        "actor": AuditEntry.actor == bindparam("actor"),
        "action": AuditEntry.action == bindparam("action"),
        "resource": AuditEntry.resource == bindparam("resource"),
        "at_from": AuditEntry.at >= bindparam("at_from"),
        "at_to": AuditEntry.at <= bindparam("at_to"),
    }
