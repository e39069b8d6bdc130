"""Rules of API keys: a secret that is shown once, and no scope that its maker does not have."""

import hashlib
import secrets
from collections.abc import Iterable
from typing import Any

from infrastructure.cache.tags import row_tag
from models import ApiKey
from repositories.api_key import ApiKeyRepository
from security.scopes import Scope
from services.base import BaseService, invalidation_of
from services.declared_errors import refuses
from services.identity.errors import Forbidden

# Hexadecimal digits, of which there are twice as many: 32 bits to tell keys apart, 256 that nobody guesses.
_PREFIX_BYTES, _SECRET_BYTES = 4, 32


class ApiKeyService(BaseService[ApiKey]):
    """The keys, as `principal` may make and change them."""

    thing, resource = "ApiKey", "api_keys"
    repository_type = ApiKeyRepository

    @refuses(Forbidden)
    def issue(self, values: dict[str, Any]) -> tuple[Any, str]:
        """All columns of the new key, and its secret, which is stored nowhere."""
        prefix = secrets.token_hex(_PREFIX_BYTES)
        secret = f"shop_{prefix}_{secrets.token_urlsafe(_SECRET_BYTES)}"
        digest = hashlib.sha256(secret.encode()).digest()
        return self.create({**values, "prefix": prefix, "secret_hash": digest}), secret

    def before_create(self, values: dict[str, Any]) -> None:
        self._require_held(values["scopes"])

    @refuses(Forbidden)
    def before_update(self, row: ApiKey, changes: dict[str, Any]) -> None:
        self._require_held(set(changes.get("scopes", ())).difference(row.scopes))

    def has_changed(self, row: ApiKey) -> None:
        super().has_changed(row)
        invalidation_of(self.session).tags.add(row_tag(self.resource, row.id_key))

    def was_removed(self, row: ApiKey) -> None:
        super().was_removed(row)
        invalidation_of(self.session).tags.add(row_tag(self.resource, row.id_key))

    def _require_held(self, scopes: Iterable[str]) -> None:
        for scope in sorted(scopes):
            if scope not in self.principal.scopes:
                raise Forbidden(Scope(scope), f"Nobody grants a scope that they do not have: {scope}")
