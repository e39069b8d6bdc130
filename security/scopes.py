"""Scopes: the names of what a caller may do, and which of them each role has."""

from enum import StrEnum


class Scope(StrEnum):
    """A permission that a route can ask for. Roles have them, and API keys are given some of them."""

    CATALOG_WRITE = "catalog:write"
    STOCK_READ = "stock:read"
    STOCK_WRITE = "stock:write"
    CLIENTS_READ = "clients:read"
    CLIENTS_WRITE = "clients:write"
    ORDERS_READ = "orders:read"
    ORDERS_WRITE = "orders:write"
    BILLS_READ = "bills:read"
    BILLS_WRITE = "bills:write"
    METRICS_READ = "metrics:read"
    REPORTS_READ = "reports:read"
    EVENTS_READ = "events:read"
    NOTIFICATIONS_READ = "notifications:read"
    NOTIFICATIONS_WRITE = "notifications:write"
    MEDIA_WRITE = "media:write"
    INSIGHTS_READ = "insights:read"
    INSIGHTS_WRITE = "insights:write"
    SETTINGS_WRITE = "settings:write"
    WEBHOOKS_WRITE = "webhooks:write"
    JOBS_ADMIN = "jobs:admin"
    USERS_ADMIN = "users:admin"
    KEYS_ADMIN = "keys:admin"
    AUDIT_READ = "audit:read"


class Role(StrEnum):
    """What a user is to the shop. A customer needs no scope for what is theirs, and has none."""

    CUSTOMER = "customer"
    STAFF = "staff"
    ADMIN = "admin"


ALL_SCOPES = frozenset(Scope)
_ADMINISTRATORS_ONLY = {
    Scope.SETTINGS_WRITE,
    Scope.WEBHOOKS_WRITE,
    Scope.JOBS_ADMIN,
    Scope.USERS_ADMIN,
    Scope.KEYS_ADMIN,
    Scope.AUDIT_READ,
}
SCOPES_OF: dict[Role, frozenset[Scope]] = {
    Role.CUSTOMER: frozenset(),
    Role.STAFF: ALL_SCOPES - _ADMINISTRATORS_ONLY,
    Role.ADMIN: ALL_SCOPES,
}
