"""The errors of webhooks, a branch of the tree in `services.errors`."""

from services.errors import Conflict


class WebhookEndpointOff(Conflict):
    """Nothing is sent to an endpoint that is not active."""

    code = "webhook_endpoint_off"
    text = "Webhook endpoint {endpoint_id} is switched off: set it active before anything is sent to it"

    def __init__(self, endpoint_id: int) -> None:
        super().__init__(endpoint_id)
        self.endpoint_id = endpoint_id
