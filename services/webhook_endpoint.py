"""Rules of webhook endpoints: a secret that is shown once, and no address of the inside."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import httpx

from config.settings import Settings
from infrastructure.http_client.address_guard import AddressGuard, as_address
from models import WebhookEndpoint
from models.notification import NotificationKind
from repositories.webhook_endpoint import WebhookEndpointRepository
from security.secret_box import SecretBox
from security.secret_keys import KeyRing
from security.webhook_signature import new_secret
from services.base import BaseService
from services.declared_errors import refuses
from services.errors import InvalidField, NotFound
from services.notifier import Notifier
from services.webhook_errors import WebhookEndpointOff

_PURPOSE = "webhook secret"


def secret_box(key_ring: KeyRing) -> SecretBox:
    """What the secrets of endpoints are encrypted with."""
    return SecretBox(key_ring, _PURPOSE)


@dataclass(frozen=True, slots=True)
class WebhookTargets:
    """Where webhooks may go to, by the settings. What a name leads to is only known when something is sent."""

    allow_insecure: bool
    guard: AddressGuard

    @classmethod
    def of(cls, settings: Settings) -> "WebhookTargets":
        return cls(settings.webhooks_allow_insecure, AddressGuard(settings.webhooks_allow_networks))

    def objection(self, url: str) -> str | None:
        """What is wrong with the URL; None if nothing is, as far as it can tell."""
        target = httpx.URL(url)
        if target.scheme != "https" and not self.allow_insecure:
            return "must begin with https://"
        address = as_address(target.host)
        if address is not None and not self.guard.lets_through(address):
            return "must not be an address that is not of the internet"
        return None

    def require(self, values: Mapping[str, Any]) -> None:
        """Raise `InvalidField` for the `url` of a body to which nothing may be sent."""
        words = self.objection(values["url"]) if "url" in values else None
        if words is not None:
            raise InvalidField(("body", "url"), words)


class WebhookEndpointService(BaseService[WebhookEndpoint]):
    """The endpoints, as `principal` makes and changes them."""

    thing, resource = "WebhookEndpoint", "webhook_endpoints"
    repository_type = WebhookEndpointRepository

    @property
    def _endpoints(self) -> WebhookEndpointRepository:
        return WebhookEndpointRepository(self.session)

    def issue(self, values: dict[str, Any], box: SecretBox) -> tuple[Any, str]:
        """All columns of the new endpoint, and its secret."""
        secret = new_secret()
        return self.create({**values, "secret": box.encrypted(secret), "user_id": self.principal.user_id}), secret

    @refuses(NotFound)
    def rotate_secret(self, row_id: int, box: SecretBox) -> tuple[WebhookEndpoint, str]:
        """The endpoint, and its new secret. The one before signs for a day more, the one before that not any longer."""
        row, secret = self.lock(row_id), new_secret()
        changes = {
            "secret": box.encrypted(secret),
            "previous_secret": row.secret,
            "previous_secret_until": self._endpoints.in_a_day(),
        }
        return self.update_locked(row, changes), secret

    @refuses(NotFound, WebhookEndpointOff)
    def redeliver(self, row_id: int, after: int) -> WebhookEndpoint:
        """The endpoint, to which all events behind the sequence `after` are sent again, as far as they are kept."""
        row = self.require_active(row_id)
        # What was asked for before, and is not done yet, is not given up.
        first = after if row.replay_after is None else min(after, row.replay_after)
        return self.update_locked(row, {"replay_after": first, "replay_until": self._endpoints.last_relayed()})

    def require_active(self, row_id: int) -> WebhookEndpoint:
        """The endpoint, locked. Raises `NotFound`, `WebhookEndpointOff`."""
        row = self.lock(row_id)
        if not row.active:
            raise WebhookEndpointOff(row_id)
        return row

    def switch_off(self, row_id: int, settings: Settings, *, is_gone: bool) -> bool:
        """Send nothing more to the endpoint, and tell its owner and staff by mail; whether it was on, and is there.

        `is_gone` if it has said so itself; otherwise it has failed for too long.
        """
        row = self.repository.lock(row_id)
        if row is None or not row.active:
            return False
        self.update_locked(row, {"active": False})
        owner = None if row.user_id is None else self._endpoints.owner_address(row.user_id)
        notifier, fields = Notifier(self.session, settings), {"endpoint_id": row_id, "url": row.url, "gone": is_gone}
        # Who is both gets one.
        for recipients in ((), () if owner is None else (owner,)):
            notifier.tell_staff(NotificationKind.WEBHOOK_ENDPOINT_OFF, row.version, fields, recipients)
        return True

    def renew_secrets(self, after: int, box: SecretBox) -> int | None:
        """Have the next endpoint behind this key store its secrets under the present key; its key, or None if there is none."""
        row = self._endpoints.next_locked(after)
        if row is None:
            return None
        changes: dict[str, Any] = {"secret": box.renewed(row.secret)}
        if self._endpoints.has_old_secret(row.id_key):
            changes |= {"previous_secret": None, "previous_secret_until": None}
        elif row.previous_secret is not None:
            changes["previous_secret"] = box.renewed(row.previous_secret)
        self.update_locked(row, changes)
        return row.id_key

    def before_update(self, row: WebhookEndpoint, changes: dict[str, Any]) -> None:
        # A new beginning.
        if row.failing_since is not None and (changes.get("active") or "url" in changes):
            changes["failing_since"] = None
