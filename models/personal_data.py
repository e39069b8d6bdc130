"""Where personal data live: every column that can hold a text is classified here, and whose the rows of a table are.

`python -m scripts.personal_data` exports and erases by this table. A new column is not there until somebody has said what
it is: a test compares this with the models.
"""

from enum import StrEnum


class Holds(StrEnum):
    """What a column holds about a person, and what an erasure does to it."""

    # Nothing: codes, names of goods, keys.
    NOTHING = "nothing"
    # Who somebody is, where they live, what they wrote. It is erased.
    PERSON = "person"
    # A part of a document that the law wants kept: erased once RETENTION_YEARS are over.
    DOCUMENT = "document"
    # Copies of columns of other tables, by their names. Those of persons and documents are erased.
    COPIES = "copies"
    # Of people, and gone by itself: a session, a token, a kept reply.
    EXPIRES = "expires"


# The columns of each table, several in one text.
PERSONAL_DATA: dict[str, dict[Holds, str]] = {
    "account_tokens": {Holds.EXPIRES: "email secret_hash", Holds.NOTHING: "purpose"},
    "addresses": {Holds.PERSON: "recipient street number city postcode region country telephone"},
    "api_keys": {Holds.NOTHING: "name prefix secret_hash scopes"},
    "audit_entries": {
        Holds.COPIES: "changes",
        Holds.PERSON: "address",
        Holds.NOTHING: "actor action resource request_id",
    },
    "bill_lines": {Holds.NOTHING: "name sku vat_category"},
    "bill_counters": {Holds.NOTHING: "kind"},
    "bills": {Holds.NOTHING: "bill_number payment_type kind reason payment_status currency ship_to_country taxes"},
    "categories": {Holds.NOTHING: "name"},
    "clients": {Holds.PERSON: "name lastname email email_key telephone language notify"},
    "daily_sales": {Holds.NOTHING: "dimension key"},
    "event_relays": {Holds.NOTHING: "name"},
    "events": {Holds.COPIES: "data", Holds.NOTHING: "type resource actor request_id trace_parent"},
    "idempotency_keys": {Holds.EXPIRES: "key fingerprint headers body"},
    "job_notes": {Holds.NOTHING: "error"},
    "job_schedules": {Holds.NOTHING: "task cron"},
    "jobs": {Holds.NOTHING: "task status args error progress"},
    "notifications": {Holds.PERSON: "recipient fields error", Holds.NOTHING: "kind channel language status"},
    "order_details": {Holds.NOTHING: "name sku vat_category"},
    "orders": {Holds.DOCUMENT: "ship_to", Holds.NOTHING: "payment_status currency shipping_vat_category"},
    "outgoing_mails": {Holds.EXPIRES: "recipient fields", Holds.NOTHING: "template"},
    "payments": {Holds.DOCUMENT: "reference", Holds.NOTHING: "method"},
    "products": {Holds.NOTHING: "name sku description currency image search_name"},
    "releases": {Holds.NOTHING: "release commit schema_revision host"},
    "returns": {Holds.DOCUMENT: "reason"},
    "reviews": {Holds.PERSON: "comment"},
    "shipments": {Holds.DOCUMENT: "tracking_number tracking_url", Holds.NOTHING: "carrier"},
    "shipping_rates": {Holds.NOTHING: "country"},
    "stock_movements": {Holds.NOTHING: "reason"},
    "tax_classes": {Holds.NOTHING: "name rates"},
    "user_sessions": {Holds.EXPIRES: "device address", Holds.NOTHING: "replaced_at"},
    "webhook_deliveries": {Holds.NOTHING: "type resource status codes durations error"},
    "webhook_endpoints": {Holds.NOTHING: "url types description secret previous_secret"},
    "users": {Holds.PERSON: "username email email_key full_name", Holds.NOTHING: "role password_hash"},
}

# The SQL below is put together of these alone.
_USERS = "(SELECT id_key FROM users WHERE client_id = :client)"
_TOKENS = f"(SELECT id_key FROM account_tokens WHERE user_id IN {_USERS})"  # noqa: S608
_ADDRESSED = "(SELECT email FROM clients WHERE id_key = :client)"
_ORDERS = "(SELECT id_key FROM orders WHERE client_id = :client)"
_BILLS = (
    "(SELECT id_key FROM bills WHERE client_id = :client UNION SELECT bill_id FROM orders WHERE client_id = :client)"
)
_REVIEWS = "(SELECT id_key FROM reviews WHERE client_id = :client)"
# Also of addresses that are no more: an entry about their beginning or end names the client.
_ADDRESSES = (
    "(SELECT id_key FROM addresses WHERE client_id = :client UNION SELECT resource_id FROM audit_entries "
    "WHERE resource = 'addresses' AND changes -> 'client_id' @> to_jsonb(CAST(:client AS bigint)))"
)


def _about(resource: str, keys: str) -> str:
    return f"(resource = '{resource}' AND resource_id IN {keys})"


# Which rows of a table are a client's. What is in none of them is nobody's.
ROWS_OF_A_CLIENT: dict[str, str] = {
    "clients": "id_key = :client",
    "users": "client_id = :client",
    "user_sessions": f"user_id IN {_USERS}",
    "account_tokens": f"user_id IN {_USERS}",
    "outgoing_mails": f"token_id IN {_TOKENS} OR recipient IN {_ADDRESSED}",
    "notifications": "client_id = :client",
    "addresses": "client_id = :client",
    "orders": "client_id = :client",
    "order_details": f"order_id IN {_ORDERS}",
    "shipments": f"order_id IN {_ORDERS}",
    "returns": f"order_id IN {_ORDERS}",
    "bills": f"id_key IN {_BILLS}",
    "payments": f"bill_id IN {_BILLS}",
    "reviews": "client_id = :client",
    "events": f"client_id = :client OR {_about('clients', '(:client)')} OR {_about('users', _USERS)} "
    f"OR {_about('reviews', _REVIEWS)}",
    "audit_entries": " OR ".join(
        [
            _about("clients", "(:client)"),
            _about("addresses", _ADDRESSES),
            _about("users", _USERS),
            _about("reviews", _REVIEWS),
            _about("orders", _ORDERS),
            "actor IN (SELECT 'user:' || id_key FROM users WHERE client_id = :client)",
        ]
    ),
}


def columns_that_hold(table: str, *kinds: Holds) -> list[str]:
    """The columns of a table that hold something of these kinds."""
    classified = PERSONAL_DATA.get(table, {})
    return [column for kind in kinds for column in classified.get(kind, "").split()]
