"""Refusals about what the delivery of an order costs."""

from services.errors import Conflict


class ShippingNotRefundable(Conflict):
    code = "shipping_not_refundable"
    text = (
        "The shipping of order {order_id} is given back with the last of its goods: {kept} of them stay with the client"
    )

    def __init__(self, order_id: int, kept: int) -> None:
        super().__init__(order_id, kept)
        self.order_id, self.kept = order_id, kept
