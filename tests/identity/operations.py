"""Who may call what: every operation of the shop with its rule, written down by hand from the contract.

It is not read from the policies in the code, which it is there to hold.
"""

from dataclasses import dataclass

# `open` does not look at credentials. `public` is for everybody, but bad credentials are refused. A scope is needed where
# one is named; `or own` lets customers in without it, to what is theirs. `own` is for customers alone. `users` is for
# whoever has logged in, about themselves. The number is the status for whoever may: that of a success, or of a refusal
# that comes only after the caller was let in, where a success would disturb what is asked next.
_TABLE = """
GET    /                                  open                      200
GET    /health_check                      open                      200
GET    /health/live                       open                      200
GET    /health/ready                      open                      200
GET    /version                           open                      200
GET    /metrics                           metrics:read              200

POST   /auth/register                     open                      422
POST   /auth/login                        open                      422
POST   /auth/refresh                      open                      422
POST   /auth/validate-token               open                      200
POST   /auth/password/forgot              open                      422
POST   /auth/password/reset               open                      400
POST   /auth/email/verify                 open                      400
POST   /auth/email/resend                 open                      422
POST   /auth/logout                       users                     204
GET    /auth/me                           users                     200
PATCH  /auth/me                           users                     200
GET    /auth/sessions                     users                     200
DELETE /auth/sessions                     users                     204
DELETE /auth/sessions/{id_key}            users                     204
POST   /register                          open                      422
POST   /login                             open                      422
POST   /validate-token                    open                      200
GET    /me                                users                     200
PATCH  /me                                users                     200

GET    /products                          public                    200
GET    /products/{id_key}                 public                    200
POST   /products                          catalog:write             201
PUT    /products/{id_key}                 catalog:write             200
PATCH  /products/{id_key}                 catalog:write             200
DELETE /products/{id_key}                 catalog:write             412
POST   /products/bulk                     catalog:write             201
PATCH  /products/bulk                     catalog:write             200
POST   /products/bulk_delete              catalog:write             404
POST   /products/{id_key}/stock           stock:write               200
GET    /products/{id_key}/stock_movements stock:read                200
GET    /products/{id_key}/price_history   public                    200
GET    /products/{id_key}/price_stats     public                    200
GET    /products/{id_key}/reviews         public                    200

GET    /categories                        public                    200
GET    /categories/{id_key}               public                    200
POST   /categories                        catalog:write             201
PUT    /categories/{id_key}               catalog:write             200
PATCH  /categories/{id_key}               catalog:write             200
DELETE /categories/{id_key}               catalog:write             412
POST   /categories/bulk                   catalog:write             201
PATCH  /categories/bulk                   catalog:write             200
POST   /categories/bulk_delete            catalog:write             404
GET    /categories/{id_key}/products      public                    200

GET    /shipping_rates                    public                    200
GET    /shipping_rates/{id_key}           public                    200
POST   /shipping_rates                    settings:write            201
PUT    /shipping_rates/{id_key}           settings:write            200
PATCH  /shipping_rates/{id_key}           settings:write            200
DELETE /shipping_rates/{id_key}           settings:write            412

GET    /tax_classes                       public                    200
GET    /tax_classes/{id_key}              public                    200
POST   /tax_classes                       settings:write            201
PUT    /tax_classes/{id_key}              settings:write            200
PATCH  /tax_classes/{id_key}              settings:write            200
DELETE /tax_classes/{id_key}              settings:write            412

GET    /reviews                           public                    200
GET    /reviews/{id_key}                  public                    200
POST   /reviews                           own                       409
PUT    /reviews/{id_key}                  own                       200
PATCH  /reviews/{id_key}                  own                       200
DELETE /reviews/{id_key}                  catalog:write or own      412

GET    /clients                           clients:read or own       200
GET    /clients/{id_key}                  clients:read or own       200
POST   /clients                           clients:write             201
PUT    /clients/{id_key}                  clients:write             200
PATCH  /clients/{id_key}                  clients:write or own      200
DELETE /clients/{id_key}                  clients:write             412
POST   /clients/bulk                      clients:write             201
PATCH  /clients/bulk                      clients:write             200
POST   /clients/bulk_delete               clients:write             404
GET    /clients/{id_key}/orders           orders:read or own        200
GET    /clients/{id_key}/addresses        clients:read or own       200
GET    /clients/{id_key}/bills            bills:read or own         200

GET    /addresses                         clients:read or own       200
GET    /addresses/{id_key}                clients:read or own       200
POST   /addresses                         clients:write or own      201
PUT    /addresses/{id_key}                clients:write or own      200
PATCH  /addresses/{id_key}                clients:write or own      200
DELETE /addresses/{id_key}                clients:write or own      412

POST   /checkout                          orders:write or own       201
POST   /checkout/quote                    orders:write or own       200
GET    /orders                            orders:read or own        200
GET    /orders/{id_key}                   orders:read or own        200
POST   /orders                            orders:write              201
PUT    /orders/{id_key}                   orders:write              200
PATCH  /orders/{id_key}                   orders:write              200
DELETE /orders/{id_key}                   orders:write              412
POST   /orders/{id_key}/cancel            orders:write or own       200
POST   /orders/{id_key}/advance           orders:write              409
POST   /orders/{id_key}/returns           orders:write              409
GET    /orders/{id_key}/returns           orders:read or own        200
GET    /payments                          bills:read or own         200
GET    /payments/{id_key}                 bills:read or own         200
GET    /bills/{id_key}/payments           bills:read or own         200
POST   /bills/{id_key}/payments           bills:write               409
GET    /orders/{id_key}/shipments         orders:read or own        200
POST   /orders/{id_key}/shipments         orders:write              409
GET    /shipments                         orders:read or own        200
GET    /shipments/{id_key}                orders:read or own        200
PATCH  /shipments/{id_key}                orders:write              200
GET    /returns                           orders:read or own        200
GET    /returns/{id_key}                  orders:read or own        200
GET    /order_details                     orders:read or own        200
GET    /order_details/{id_key}            orders:read or own        200
POST   /order_details                     orders:write              201
PUT    /order_details/{id_key}            orders:write              200
PATCH  /order_details/{id_key}            orders:write              200
DELETE /order_details/{id_key}            orders:write              412

GET    /bills                             bills:read or own         200
GET    /bills/{id_key}                    bills:read or own         200
GET    /bills/{id_key}/lines              bills:read or own         200
POST   /bills                             bills:write               201
PUT    /bills/{id_key}                    bills:write               200
PATCH  /bills/{id_key}                    bills:write               200
DELETE /bills/{id_key}                    bills:write               412

GET    /users                             users:admin               200
GET    /users/{id_key}                    users:admin               200
POST   /users                             users:admin               201
PUT    /users/{id_key}                    users:admin               200
PATCH  /users/{id_key}                    users:admin               200
DELETE /users/{id_key}                    users:admin               412
POST   /users/bulk                        users:admin               201
PATCH  /users/bulk                        users:admin               200
POST   /users/bulk_delete                 users:admin               404

GET    /api_keys                          keys:admin                200
GET    /api_keys/{id_key}                 keys:admin                200
POST   /api_keys                          keys:admin                201
PUT    /api_keys/{id_key}                 keys:admin                200
PATCH  /api_keys/{id_key}                 keys:admin                200
DELETE /api_keys/{id_key}                 keys:admin                412

GET    /events                            events:read or own        200
GET    /events/stream                     events:read or own        422
GET    /events/{id}                       events:read or own        200

GET    /audit_entries                     audit:read                200
GET    /audit_entries/{id_key}            audit:read                200

GET    /notifications                     notifications:read        200
GET    /notifications/{id_key}            notifications:read        200
POST   /notifications/{id_key}/resend     notifications:write       200

GET    /jobs                              jobs:admin                200
GET    /jobs/{id_key}                     jobs:admin                200
POST   /jobs/{id_key}/retry               jobs:admin                200
POST   /jobs/{id_key}/cancel              jobs:admin                409

GET    /webhook_endpoints                 webhooks:write            200
GET    /webhook_endpoints/{id_key}        webhooks:write            200
POST   /webhook_endpoints                 webhooks:write            201
PUT    /webhook_endpoints/{id_key}        webhooks:write            200
PATCH  /webhook_endpoints/{id_key}        webhooks:write            200
DELETE /webhook_endpoints/{id_key}        webhooks:write            412
POST   /webhook_endpoints/{id_key}/rotate_secret  webhooks:write    200
POST   /webhook_endpoints/{id_key}/redeliver      webhooks:write    202
POST   /webhook_endpoints/{id_key}/test   webhooks:write            201
GET    /webhook_endpoints/{id_key}/deliveries     webhooks:write    200
GET    /webhook_deliveries                webhooks:write            200
GET    /webhook_deliveries/{id_key}       webhooks:write            200
POST   /webhook_deliveries/{id_key}/redeliver     webhooks:write    200

GET    /reports/sales                     reports:read              200
GET    /reports/best_sellers              reports:read              200
GET    /reports/clients                   reports:read              200
GET    /reports/taxes                     reports:read              200
GET    /reports/stock                     reports:read              200
"""
# Not in the OpenAPI document: the documentation itself, and what browsers and crawlers ask every site for.
_BESIDE = """
GET    /docs                              open                      200
GET    /redoc                             open                      200
GET    /openapi.json                      open                      200
GET    /docs-assets/{name}                open                      404
GET    /docs-assets/{digest}/{name}       open                      404
GET    /favicon.ico                       open                      200
GET    /robots.txt                        open                      200
GET    /.well-known/security.txt          open                      404
"""

# The scopes that staff lack.
ADMINISTRATORS_ONLY = frozenset(
    ("settings:write", "webhooks:write", "jobs:admin", "users:admin", "keys:admin", "audit:read")
)


@dataclass(frozen=True)
class Operation:
    """One line of the table."""

    method: str
    path: str
    rule: str
    status: int

    @property
    def name(self) -> str:
        return f"{self.method} {self.path}"

    @property
    def scope(self) -> str | None:
        """The scope that it asks for."""
        word = self.rule.split()[0]
        return word if ":" in word else None

    @property
    def is_for_customers(self) -> bool:
        """Whether customers may use it for what is theirs."""
        return self.rule == "own" or self.rule.endswith(" or own")

    @property
    def ends_sessions(self) -> bool:
        """Whether a call leaves its caller without a session."""
        return self.name in ("POST /auth/logout", "DELETE /auth/sessions")

    @property
    def is_about_a_row(self) -> bool:
        return "{" in self.path


def _operations(table: str) -> list[Operation]:
    lines = [line.split() for line in table.splitlines() if line]
    return [Operation(method, path, " ".join(rule), int(status)) for method, path, *rule, status in lines]


DOCUMENTED = _operations(_TABLE)
BESIDE = _operations(_BESIDE)
