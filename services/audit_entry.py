"""The audit trail, which is read like any entity and written by nobody but `services.identity.audit`."""

from typing import Any

from repositories.audit_entry import AuditEntryRepository
from services.base import BaseService


class AuditEntryService(BaseService[Any]):
    thing, resource = "AuditEntry", "audit_entries"
    repository_type = AuditEntryRepository
