"""Each unique constraint and index of the tables, and the field that it is about."""

import pytest

from models import Base
from models.text_key import email_key, text_key
from models.unique_fields import UniqueText, unique_fields, unique_texts

pytestmark = pytest.mark.unit

MODELS = {mapper.class_.__name__: mapper.class_ for mapper in Base.registry.mappers}


def test_every_unique_key_is_about_a_field() -> None:
    assert {name: fields for name, model in MODELS.items() if (fields := unique_fields(model))} == {
        "AccountToken": {"uq_account_tokens_secret_hash": "secret_hash"},
        "ApiKey": {"uq_api_keys_prefix": "prefix", "uq_api_keys_secret_hash": "secret_hash"},
        "Bill": {"uq_bills_bill_number": "bill_number", "uq_bills_bill_number_key": "bill_number"},
        "Category": {"uq_categories_name": "name", "uq_categories_name_key": "name"},
        "Client": {"uq_clients_email": "email", "uq_clients_email_key": "email"},
        "Notification": {"uq_notifications_event_id": "channel"},
        "Order": {"uq_orders_bill_id": "bill_id"},
        "Product": {"uq_products_sku": "sku", "uq_products_sku_key": "sku"},
        "Release": {"uq_releases_host": "started_at"},
        "Return": {"uq_returns_credit_bill_id": "credit_bill_id"},
        "Review": {"uq_reviews_client_id": "product_id"},
        "ShippingRate": {
            "uq_shipping_rates_delivery_method": "country",
            "uq_shipping_rates_any_country": "delivery_method",
        },
        "TaxClass": {"uq_tax_classes_name": "name", "uq_tax_classes_name_key": "name"},
        "User": {
            "uq_users_client_id": "client_id",
            "uq_users_username_key": "username",
            "uq_users_email": "email",
            "uq_users_email_key": "email",
        },
    }


def test_a_text_is_told_apart_by_one_form() -> None:
    assert {name: texts for name, model in MODELS.items() if (texts := unique_texts(model))} == {
        "Bill": (UniqueText("bill_number", text_key, None),),
        "Category": (UniqueText("name", text_key, None),),
        "Client": (UniqueText("email", email_key, "email_key"),),
        "Product": (UniqueText("sku", text_key, None),),
        "TaxClass": (UniqueText("name", text_key, None),),
        "User": (UniqueText("email", email_key, "email_key"), UniqueText("username", text_key, None)),
    }
