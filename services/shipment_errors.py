"""Refusals of shipments: the branch of the error tree (`services.errors`) about goods on their way.

Conflict                         409
├── ShipmentExceedsOrder              more of a line than is left to ship
├── NothingToShip                     an order of which nothing is left
└── ShipmentDelivered                 the time of a delivery stays
"""

from services.errors import Conflict


class ShipmentExceedsOrder(Conflict):
    code = "shipment_exceeds_order"
    text = "Cannot ship {requested} of order detail {detail_id}. At most {left} are left to ship"

    def __init__(self, detail_id: int, requested: int, left: int) -> None:
        super().__init__(detail_id, requested, left)
        self.detail_id, self.requested, self.left = detail_id, requested, left


class NothingToShip(Conflict):
    code = "nothing_to_ship"
    text = "Nothing of order {order_id} is left to ship"

    def __init__(self, order_id: int) -> None:
        super().__init__(order_id)
        self.order_id = order_id


class ShipmentDelivered(Conflict):
    code = "shipment_delivered"
    text = "Shipment {shipment_id} is delivered, and the time of its delivery stays"

    def __init__(self, shipment_id: int) -> None:
        super().__init__(shipment_id)
        self.shipment_id = shipment_id
