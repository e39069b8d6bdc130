"""Rules of webhook deliveries, as administrators see them: to try one, or to have one sent again. `events.webhooks` sends them."""

from typing import Any

from models import WebhookDelivery
from models.webhook import DeliveryStatus
from repositories.webhook_delivery import WebhookDeliveryRepository
from services.base import BaseService
from services.declared_errors import refuses
from services.errors import NotFound
from services.webhook_endpoint import WebhookEndpointService
from services.webhook_errors import WebhookEndpointOff

# What a test says it is. It is no event, and nobody else gets it.
TEST_TYPE = "webhook.test"


class WebhookDeliveryService(BaseService[WebhookDelivery]):
    """Locks the endpoint, then the delivery."""

    thing, resource = "WebhookDelivery", "webhook_deliveries"
    repository_type = WebhookDeliveryRepository

    @refuses(NotFound, WebhookEndpointOff)
    def test(self, endpoint_id: int) -> Any:
        """All columns of a new delivery to the endpoint, which is about the endpoint itself."""
        endpoint = self._endpoints.require_active(endpoint_id)
        about = {"type": TEST_TYPE, "resource": endpoint.__tablename__, "resource_id": endpoint_id}
        return self.create({"endpoint_id": endpoint_id, "next_try_at": self._deliveries.now(), **about})

    @refuses(NotFound, WebhookEndpointOff)
    def redeliver(self, row_id: int) -> WebhookDelivery:
        """The delivery, which is sent at once, and with all its tries before it."""
        found = self.row_query(row_id, ("endpoint_id",))(self.session)
        self._endpoints.require_active(found.endpoint_id)
        again = {"status": DeliveryStatus.PENDING, "failures": 0, "next_try_at": self._deliveries.now()}
        return self.update(row_id, again)

    @property
    def _endpoints(self) -> WebhookEndpointService:
        return WebhookEndpointService(self.session, self.principal)

    @property
    def _deliveries(self) -> WebhookDeliveryRepository:
        return WebhookDeliveryRepository(self.session)
