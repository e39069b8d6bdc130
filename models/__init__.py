"""The tables. Importing this package registers every one of them with `Base.metadata`."""

from models.account_token import AccountToken
from models.address import Address
from models.api_key import ApiKey
from models.audit_entry import AuditEntry
from models.base import Base, Row
from models.bill import Bill, BillCounter
from models.bill_line import BillLine
from models.category import Category
from models.client import Client
from models.daily_sales import DailySales
from models.event import Event
from models.idempotency_key import IdempotencyKey
from models.job import EventRelay, Job, JobNote, JobSchedule
from models.notification import Notification
from models.order import Order
from models.order_detail import OrderDetail
from models.outgoing_mail import OutgoingMail
from models.payment import Payment
from models.price_change import PriceChange
from models.product import Product
from models.release import Release
from models.returns import Return, ReturnLine
from models.review import Review
from models.shipment import Shipment, ShipmentLine
from models.shipping_rate import ShippingRate
from models.stock_movement import StockMovement
from models.tax_class import TaxClass
from models.user import User
from models.user_session import UserSession
from models.webhook import WebhookDelivery, WebhookEndpoint

__all__ = [
    "AccountToken",
    "Address",
    "ApiKey",
    "AuditEntry",
    "Base",
    "Bill",
    "BillCounter",
    "BillLine",
    "Category",
    "Client",
    "DailySales",
    "Event",
    "EventRelay",
    "IdempotencyKey",
    "Job",
    "JobNote",
    "JobSchedule",
    "Notification",
    "Order",
    "OrderDetail",
    "OutgoingMail",
    "Payment",
    "PriceChange",
    "Product",
    "Release",
    "Return",
    "ReturnLine",
    "Review",
    "Row",
    "Shipment",
    "ShipmentLine",
    "ShippingRate",
    "StockMovement",
    "TaxClass",
    "User",
    "UserSession",
    "WebhookDelivery",
    "WebhookEndpoint",
]
