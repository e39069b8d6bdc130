"""The one tree of domain errors. Each carries data; its text is made in one place, here.

ShopError
├── NotFound                    404  a row or a reference that does not exist
├── CrossOrigin                 403  a page of another origin would change something
├── RuleBroken                  400  a rule of the shop refuses
│   ├── InsufficientStock            less in stock than asked for
│   ├── ProductNotAvailable          an inactive product
│   ├── PriceMismatch                a price that is not the shop's
│   ├── TotalMismatch                a total that is not the server's
│   ├── AmountTooLarge               a sum that NUMERIC(12,2) cannot hold
│   ├── ReturnExceedsSale            more goods returned than were sold
│   └── DiscountTooLarge             a discount above the sum of the lines
├── Conflict                    409  the state of a row forbids it
│   ├── AlreadyExists                a unique value is taken
│   ├── HasChanged                   the row changed since the client read it
│   ├── StatusConflict               an order cannot go from one status to another
│   ├── ProductHasSales              a product with sales history is not deleted
│   ├── …                            what the books forbid: see `books_errors`, `shipment_errors`, `shipping_errors`
│   └── RequestInProgress            the first request with this Idempotency-Key still runs
├── PreconditionFailed          412  If-Match or If-None-Match asks for another version
├── InvalidField                422  a well-formed value that this row cannot take
├── KeyReused                   422  an Idempotency-Key that came with another request
├── RateLimited                 429  more requests than a limit allows
└── Unavailable                 503  the database is away or too busy
"""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any, ClassVar


class ShopError(Exception):
    """The root: a refusal with an HTTP status, a code for programs and a text for people.

    `text` names attributes of the error. `body` adds members to the response's JSON, `headers` to its headers.
    """

    status: ClassVar[int] = 500
    code: ClassVar[str] = "error"
    text: ClassVar[str] = ""
    loc: tuple[str | int, ...] | None = None

    def at(self, place: int, field: str | None = None) -> "ShopError":
        """The error, with the place of the row in a bulk request that it is about, and the field if it is about one."""
        self.loc = ("body", place) if field is None else ("body", place, field)
        return self

    @property
    def message(self) -> str:
        """The text for people, without SQL, paths or secrets: `text` with the error's data, or the text it was made with."""
        if self.text:
            return self.text.format(**vars(self))
        return str(self.args[0]) if self.args else self.code

    @property
    def detail(self) -> Any:
        """The member `detail` of the response; the message unless a subclass says more."""
        return self.message

    @property
    def body(self) -> Mapping[str, Any]:
        return {}

    @property
    def members(self) -> Mapping[str, Any]:
        """The members of the response's JSON beyond the common ones."""
        return self.body if self.loc is None or self.status == 422 else {**self.body, "loc": list(self.loc)}

    @property
    def headers(self) -> Mapping[str, str]:
        return {}

    def __str__(self) -> str:
        return self.message


class NotFound(ShopError):
    status, code = 404, "not_found"
    text = "{thing} with id {row_id} not found"

    def __init__(self, thing: str, row_id: object) -> None:
        super().__init__(thing, row_id)
        self.thing, self.row_id = thing, row_id


class CrossOrigin(ShopError):
    status, code = 403, "cross_origin"

    def __init__(self) -> None:
        super().__init__("A page of another origin may not change anything here")


class RuleBroken(ShopError):
    status, code = 400, "rule_broken"


class InsufficientStock(RuleBroken):
    """Less in stock than asked for. `others` lists every such product where one request asks for several."""

    code = "insufficient_stock"
    text = "Insufficient stock for product {product_id}. Requested: {requested}, Available: {available}"

    def __init__(
        self, product_id: int, requested: int, available: int, others: Sequence["InsufficientStock"] = ()
    ) -> None:
        super().__init__(product_id, requested, available)
        self.product_id, self.requested, self.available, self.others = product_id, requested, available, others

    @property
    def body(self) -> Mapping[str, Any]:
        return {
            "errors": [
                {"product_id": short.product_id, "requested": short.requested, "available": short.available}
                for short in (self.others or (self,))
            ]
        }


class ProductNotAvailable(RuleBroken):
    code = "product_not_available"
    text = "Product {product_id} is not available"

    def __init__(self, product_id: int) -> None:
        super().__init__(product_id)
        self.product_id = product_id


class PriceMismatch(RuleBroken):
    code = "price_mismatch"
    text = "Price mismatch. Expected {expected:.2f}, got {got:.2f}"

    def __init__(self, expected: Decimal, got: Decimal) -> None:
        super().__init__(expected, got)
        self.expected, self.got = expected, got


class TotalMismatch(RuleBroken):
    code = "total_mismatch"
    text = "Total mismatch. Expected {expected:.2f}, got {got:.2f}"

    def __init__(self, expected: Decimal, got: Decimal) -> None:
        super().__init__(expected, got)
        self.expected, self.got = expected, got


class AmountTooLarge(RuleBroken):
    code = "amount_too_large"

    def __init__(self, message: str = "The sum is larger than 9999999999.99") -> None:
        super().__init__(message)


class ReturnExceedsSale(RuleBroken):
    code = "return_exceeds_sale"
    text = "Cannot return {requested} of order detail {detail_id}. At most {returnable} can still be returned"

    def __init__(self, detail_id: int, requested: int, returnable: int) -> None:
        super().__init__(detail_id, requested, returnable)
        self.detail_id, self.requested, self.returnable = detail_id, requested, returnable


class DiscountTooLarge(RuleBroken):
    code = "discount_too_large"
    text = "Discount {discount:.2f} exceeds the sum of the lines {total:.2f}"

    def __init__(self, discount: Decimal, total: Decimal) -> None:
        super().__init__(discount, total)
        self.discount, self.total = discount, total


class Conflict(ShopError):
    status, code = 409, "conflict"


class AlreadyExists(Conflict):
    code = "already_exists"

    def __init__(self, thing: str, field: str, value: object) -> None:
        """`value` as the client wrote it; None for one that the server was about to give."""
        super().__init__(thing, field, value)
        self.thing, self.field, self.value = thing, field, value

    @property
    def message(self) -> str:
        if self.value is None:
            return f"The next {self.field} is taken by another {self.thing.lower()}, which somebody else has written"
        return f"{self.thing} with {self.field} '{self.value}' already exists"


class HasChanged(Conflict):
    code = "has_changed"
    text = "{thing} {row_id} has changed since it was read"

    def __init__(self, thing: str, row_id: int) -> None:
        super().__init__(thing, row_id)
        self.thing, self.row_id = thing, row_id


class StatusConflict(Conflict):
    code = "status_conflict"
    text = "Order {order_id} cannot go from {current} to {wanted}"

    def __init__(self, order_id: int, current: str, wanted: str) -> None:
        super().__init__(order_id, current, wanted)
        self.order_id, self.current, self.wanted = order_id, current, wanted


class JobConflict(Conflict):
    code = "job_conflict"
    text = "Job {job_id} is {current} and cannot be {wanted}"

    def __init__(self, job_id: int, current: str, wanted: str) -> None:
        super().__init__(job_id, current, wanted)
        self.job_id, self.current, self.wanted = job_id, current, wanted


class ProductHasSales(Conflict):
    code = "product_has_sales"
    text = (
        "Cannot delete product {product_id}: product has associated sales history. "
        "Consider marking as inactive instead of deleting."
    )

    def __init__(self, product_id: int) -> None:
        super().__init__(product_id)
        self.product_id = product_id


class RequestInProgress(Conflict):
    code = "request_in_progress"

    def __init__(self) -> None:
        super().__init__("A request with this Idempotency-Key is still in progress")

    @property
    def headers(self) -> Mapping[str, str]:
        return {"Retry-After": "1"}


class PreconditionFailed(ShopError):
    status, code = 412, "precondition_failed"
    text = "{thing} {row_id} is {how_it_is}"

    def __init__(self, thing: str, row_id: int, how_it_is: str) -> None:
        super().__init__(thing, row_id, how_it_is)
        self.thing, self.row_id, self.how_it_is = thing, row_id, how_it_is


class InvalidField(ShopError):
    """A value refused for a reason that only the stored row or the server can know."""

    status, code = 422, "validation_error"

    def __init__(self, loc: Sequence[str | int], text: str, kind: str = "value_error") -> None:
        super().__init__(text)
        self.loc: tuple[str | int, ...] = tuple(loc)
        self.kind = kind

    @property
    def detail(self) -> Any:
        return [{"loc": list(self.loc), "msg": self.message, "type": self.kind}]


class KeyReused(InvalidField):
    code = "idempotency_key_reused"

    def __init__(self) -> None:
        super().__init__(("header", "Idempotency-Key"), "This key was used for another request")


class RateLimited(ShopError):
    """More requests than the `calls` that a limit allows in `period` seconds; `retry_after` seconds later they are."""

    status, code = 429, "rate_limit_exceeded"
    text = "Rate limit exceeded. Maximum {calls} requests per {period} seconds."

    def __init__(self, calls: int, period: int, retry_after: int) -> None:
        super().__init__(calls, period, retry_after)
        self.calls, self.period, self.retry_after = calls, period, retry_after

    @property
    def body(self) -> Mapping[str, Any]:
        return {"retry_after": self.retry_after}

    @property
    def headers(self) -> Mapping[str, str]:
        return {"Retry-After": str(self.retry_after)}


class Unavailable(ShopError):
    """The database is away, or too busy to answer in time; the same request may succeed later."""

    status, code = 503, "service_unavailable"

    def __init__(self, message: str = "The database is not available, try again later", retry_after: int = 1) -> None:
        super().__init__(message)
        self.retry_after = retry_after

    @property
    def headers(self) -> Mapping[str, str]:
        return {"Retry-After": str(self.retry_after)}
