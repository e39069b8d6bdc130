"""Writing the orders of a group that are to be placed, their responses, and what is told of them.

Parts of the statement in `checkout_statement.py`, in its order.
"""

from models import Bill, Order, OrderDetail
from models.base import next_version
from models.bill import BillKind, PaymentStatus
from models.stock_movement import StockReason
from models.tax_class import NO_CATEGORY
from repositories.address import SHIP_TO
from repositories.checkout_judging import next_key
from repositories.query.json_objects import json_object
from repositories.taxes import (
    IS_TAXED,
    NO_RATE,
    STANDARD_CLASS,
    TAXED,
    category_in,
    class_of_product,
    frozen,
    rate_in,
    rates_of,
    untaxed,
)
from schemas.bill import BillRead
from schemas.order import OrderRead
from schemas.order_detail import OrderDetailRead

# Of the order's bill (see `models.order`).
_FIGURES = "discount, shipping, tax_included, to_pay, refunded, net, paid, payment_status"
# Where and when an order is taxed.
_COUNTRY = "coalesce(ship_to ->> 'country', shop_country)"
_DAY = "(moment AT TIME ZONE shop_time_zone())::date"
_SALE = f""", sale AS MATERIALIZED (
    SELECT *, {next_key("bills")} AS bill_key, coalesce(date, now()) AS moment, total - discount + shipping AS to_pay,
        CASE WHEN is_paid THEN total - discount + shipping ELSE 0 END AS paid,
        CASE WHEN is_paid OR total - discount + shipping = 0 THEN '{PaymentStatus.PAID}' ELSE '{PaymentStatus.UNPAID}' END AS payment_status,
        CASE WHEN address_id IS NOT NULL THEN (
            SELECT {SHIP_TO} FROM addresses WHERE addresses.id_key = verdict.address_id
        ) END AS ship_to,
        count(*) FILTER (WHERE bill_number IS NULL) OVER (ORDER BY place ROWS UNBOUNDED PRECEDING) AS nth
    FROM verdict WHERE order_key IS NOT NULL
)"""  # noqa: S608
_SOLD = f""", sold AS MATERIALIZED (
    SELECT *, {next_key("order_details")} AS detail_key{{more}} FROM (
        SELECT sale.order_key, wanted.*{{found}} FROM wanted JOIN sale USING (place) ORDER BY place, number
    ) AS ordered
)"""  # noqa: S608
_UNTAXED = _SOLD.format(more="", found="")
_TAX_OF_SHIPPING = frozen(STANDARD_CLASS, _COUNTRY, _DAY)
_TAXED = f""", rates AS MATERIALIZED ({rates_of(f"ARRAY (SELECT {_COUNTRY} FROM sale)")}
){
    _SOLD.format(
        more=f", {rate_in('frozen')} AS tax_rate, {category_in('frozen')} AS vat_category",
        found=f", {frozen(class_of_product('wanted'), _COUNTRY, _DAY)} AS frozen",
    )
}, tax_order AS MATERIALIZED (
    SELECT order_key, {_COUNTRY} AS country, total, discount, shipping, {rate_in("frozen")} AS shipping_tax_rate,
        {category_in("frozen")} AS shipping_vat_category
    FROM (SELECT sale.*, {_TAX_OF_SHIPPING} AS frozen FROM sale WHERE {IS_TAXED}) AS taxed
), tax_line AS MATERIALIZED (
    SELECT order_key, detail_key, quantity * price AS gross, tax_rate, vat_category FROM sold WHERE {IS_TAXED}
) {TAXED}"""  # noqa: S608
# What of it depends on taxes: columns, their values, and where these are from. Without, the tables have their defaults.
_OF_LINE = (
    ", tax_rate, vat_category, tax_included",
    ", sold.tax_rate, sold.vat_category, coalesce(tax, 0)",
    " LEFT JOIN taxed_line USING (order_key, detail_key)",
)
_OF_ORDER = (
    ", shipping_tax_rate, shipping_vat_category",
    f", coalesce(shipping_tax_rate, {NO_RATE}), coalesce(shipping_vat_category, '{NO_CATEGORY}')",
    " LEFT JOIN tax_order USING (order_key) LEFT JOIN taxed_order USING (order_key)",
)
_OF_BILL = (", tax", ", coalesce(tax, 0)", " LEFT JOIN taxed_order USING (order_key)")
_NOTHING = ("", "", "")


def written(*, taxed: bool) -> str:
    """The SQL that writes the orders. One that is not `taxed` writes all at no rate."""
    of_line, of_order, of_bill = (_OF_LINE, _OF_ORDER, _OF_BILL) if taxed else (_NOTHING,) * 3
    at_no_rate = untaxed(_COUNTRY, "to_pay")
    tax, taxes, sums = (
        ("coalesce(tax, 0)", f"coalesce(taxes, {at_no_rate})", ", tax, taxes") if taxed else ("0", at_no_rate, "")
    )
    return f"""{_SALE}{_TAXED if taxed else _UNTAXED}, taken AS (
    UPDATE products SET stock = products.stock - taken.quantity, updated_at = {next_version("products.updated_at")}
    FROM (SELECT product_id, sum(quantity) AS quantity FROM sold GROUP BY product_id) AS taken
    WHERE products.id_key = taken.product_id AND products.id_key = ANY (ARRAY (SELECT product_id FROM sold))
), order_details AS (
    INSERT INTO order_details (id_key, quantity, price, name, sku, order_id, product_id{of_line[0]}) OVERRIDING SYSTEM VALUE
    SELECT detail_key, quantity, price, name, sku, order_key, product_id{of_line[1]} FROM sold{of_line[2]}
    RETURNING *
), ledger AS (
    INSERT INTO stock_movements (product_id, delta, reason, order_detail_id)
    SELECT product_id, -quantity, '{StockReason.SALE}', detail_key FROM sold
), orders AS (
    INSERT INTO orders (id_key, date, total, delivery_method, client_id, bill_id, address_id, ship_to, {_FIGURES},
        shipping_price, shipping_free_from{of_order[0]}) OVERRIDING SYSTEM VALUE
    SELECT order_key, moment, sale.total, delivery_method, client_id, bill_key, address_id, ship_to, sale.discount, sale.shipping,
        {tax}, to_pay, 0, to_pay, paid, payment_status, shipping_price, shipping_free_from{of_order[1]}
    FROM sale{of_order[2]}
    RETURNING *
), counter AS (
    INSERT INTO bill_counters AS c (kind, year, last_number)
    SELECT '{BillKind.SALE}', extract(year FROM now() AT TIME ZONE shop_time_zone()), max(nth) FROM sale HAVING max(nth) > 0
    ON CONFLICT (kind, year) DO UPDATE SET last_number = c.last_number + excluded.last_number
    RETURNING year, last_number
), bills AS (
    INSERT INTO bills (id_key, bill_number, discount, shipping, date, total, payment_type, client_id, paid, payment_status, taxes{of_bill[0]})
    OVERRIDING SYSTEM VALUE
    SELECT bill_key,
        coalesce(bill_number, '{BillKind.SALE.prefix}-' || year || '-' || lpad(number, greatest(6, length(number)), '0')),
        discount, shipping, {_DAY}, to_pay, payment_type, client_id, paid, payment_status, {taxes}::json{of_bill[1]}
    FROM (
        SELECT sale.*{sums}, counter.year, (counter.last_number - max(nth) OVER () + nth)::text AS number
        FROM sale LEFT JOIN counter ON true{of_bill[2]}
    ) AS numbered
    RETURNING *
), payment AS (
    INSERT INTO payments (bill_id, amount, method) SELECT bill_key, paid, payment_type FROM sale WHERE paid > 0
)"""  # noqa: S608


_INSIDE = {"order_details": "'[', details, ']'", "bill": json_object(Bill, BillRead, is_near=True)}
RENDERED = f""", detail_json AS MATERIALIZED (
    SELECT order_id, string_agg({json_object(OrderDetail, OrderDetailRead)}, ',' ORDER BY id_key) AS details
    FROM order_details GROUP BY order_id
), response AS MATERIALIZED (
    SELECT id_key, text, text || chr(10) AS body, '"' || version || '.' || left(md5(text || chr(10)), 24) || '"' AS etag
    FROM (
        SELECT orders.id_key,
            to_hex(orders.id_key) || '-' || to_hex((extract(epoch FROM orders.updated_at) * 1000000)::bigint) AS version,
            {json_object(Order, OrderRead, members=_INSIDE, is_near=True)} AS text
        FROM orders JOIN detail_json ON detail_json.order_id = orders.id_key JOIN bills ON bills.id_key = orders.bill_id
        OFFSET 0
    ) AS rendered
), kept AS (
    INSERT INTO idempotency_keys (key, fingerprint, status, headers, body)
    SELECT sale.key, decode(sale.fingerprint, 'hex'), 201,
        jsonb_build_object('Content-Type', 'application/json', 'ETag', etag, 'Location', sale.location || id_key),
        convert_to(response.body, 'UTF8')
    FROM sale JOIN response ON response.id_key = sale.order_key WHERE sale.key IS NOT NULL
)"""  # noqa: S608


# What has happened, in the same words as the response.
TOLD = """, event AS (
    INSERT INTO events (type, resource, resource_id, client_id, actor, request_id, trace_parent, data)
    SELECT 'order.created', 'orders', order_key, client_id, actor, request_id, trace_parent, response.text::json
    FROM sale JOIN response ON response.id_key = sale.order_key
)"""


def _new(**columns: str) -> str:
    values = (f"'{name}', jsonb_build_array(NULL, {column})" for name, column in columns.items())
    return f"jsonb_build_object({', '.join(values)})"


# The entry in the audit trail, for those whose orders are audited: what the order is about, and not all of its fields,
# which would take as long as the rest of the entry.
AUDITED = f""", entry AS (
    INSERT INTO audit_entries (actor, action, request_id, address, resource, resource_id, changes)
    SELECT actor, action, request_id, address, 'orders', order_key,
        {_new(client_id="client_id", bill_id="bill_key", total="total")}
            || CASE WHEN address_id IS NULL THEN '{{}}' ELSE {_new(address_id="address_id")} END
    FROM sale WHERE action IS NOT NULL
)"""  # noqa: S608
