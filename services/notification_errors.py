"""The errors of notifications, a branch of the tree in `services.errors`."""

from services.errors import Conflict


class NotificationUnwanted(Conflict):
    """The client has switched the channel off, or has no telephone number any more."""

    code = "notification_unwanted"
    text = "Notification {notification_id} cannot be sent again: client {client_id} is not told by {channel} any more"

    def __init__(self, notification_id: int, client_id: int, channel: str) -> None:
        super().__init__(notification_id, client_id, channel)
        self.notification_id, self.client_id, self.channel = notification_id, client_id, channel
