"""Assembly of the application: resources, routes, and the middleware around them."""

from collections.abc import Callable, Sequence
from typing import Any

from fastapi import FastAPI
from fastapi.middleware.asyncexitstack import AsyncExitStackMiddleware
from fastapi.routing import APIRoute
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from application.resources import AppResources
from config.release import RELEASE, build_of
from config.settings import Settings
from controllers.address import AddressController
from controllers.api_key import ApiKeyController
from controllers.audit_entry import AuditEntryController
from controllers.auth import AuthController
from controllers.auth_mails import AuthMailsController
from controllers.auth_sessions import AuthSessionsController
from controllers.base import BaseController
from controllers.bill import BillController
from controllers.category import CategoryController
from controllers.checkout import CheckoutController
from controllers.client import ClientController
from controllers.event import EventController
from controllers.health import HealthController
from controllers.job import JobController
from controllers.metrics import MetricsController
from controllers.notification import NotificationController
from controllers.openapi.docs_ui import add_docs_ui
from controllers.order import OrderController
from controllers.order_detail import OrderDetailController
from controllers.payment import PaymentController
from controllers.policies import guard_unguarded, require_policies
from controllers.product import ProductController
from controllers.report import ReportController
from controllers.returns import ReturnController
from controllers.review import ReviewController
from controllers.shipment import ShipmentController
from controllers.shipping_rate import ShippingRateController
from controllers.site_root import add_site_root
from controllers.static_routes import StaticRoutes
from controllers.tax_class import TaxClassController
from controllers.user import UserController
from controllers.webhook_delivery import WebhookDeliveryController
from controllers.webhook_endpoint import WebhookEndpointController
from infrastructure.observability.route_templates import RouteTemplates
from infrastructure.server.connection_guard import Closed
from infrastructure.server.deferred_request import EarlyHandler
from infrastructure.server.header_lines import parsed_lines
from middleware.body_limit import BodyLimit
from middleware.callers import Callers
from middleware.compression import Compression
from middleware.cors import VARY_WITHOUT_ORIGIN, Cors
from middleware.edge import Edge
from middleware.errors import ErrorResponses
from middleware.fast_path import FastPath
from middleware.http_rules import HttpRules
from middleware.rate_limit import RateLimit
from middleware.request_context import RequestContext
from middleware.same_origin import SameOrigin
from security.policy import OPEN
from services.health import HealthService
from services.identity.new_passwords import NewPasswords

# A new entity is registered here. The most requested stand first: routes are tried in this order.
CONTROLLERS: tuple[type[BaseController], ...] = (
    ProductController,
    CheckoutController,
    CategoryController,
    ClientController,
    OrderController,
    OrderDetailController,
    BillController,
    ReturnController,
    PaymentController,
    ShipmentController,
    ShippingRateController,
    AddressController,
    ReviewController,
    TaxClassController,
    UserController,
    ApiKeyController,
    AuditEntryController,
    JobController,
    WebhookEndpointController,
    WebhookDeliveryController,
    NotificationController,
)

BULK_BYTES = 16 * 1024 * 1024


def assemble(settings: Settings) -> FastAPI:
    """The application with these settings. Opens nothing."""
    routes = _api_routes(settings)
    resources = AppResources(settings)
    app = Shop(
        title="Shop",
        version=RELEASE,
        summary="Catalog, clients, orders and bills: exact, fast, instant.",
        contact=_contact(settings.security_contact),
        license_info={"name": "MIT", "identifier": "MIT"},
        # The paths of the document begin with the prefix.
        servers=[{"url": "/", "description": "The server that this document is from"}],
        lifespan=resources.running,
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        redirect_slashes=False,
        # The shop has no telemetry collector, and FastAPI would look for one at every request.
        telemetry={"tracing": False, "metrics": False, "logs": False},
    )
    app.state.resources = resources
    app.state.executor = resources.executor
    app.state.checkouts = resources.checkouts
    app.state.authenticator = resources.authenticator
    app.state.accounts = resources.accounts
    app.state.key_ring = resources.key_ring
    app.state.new_passwords = NewPasswords(resources.executor, resources.passwords)
    app.state.route_limits = resources.route_limits
    app.state.events = resources.events
    app.state.event_hub = resources.event_hub
    app.state.health = HealthService(resources.database, resources.gateway, build_of(settings))
    app.router.routes.extend([*routes, *HealthController().routes()])
    documented = len(app.router.routes)
    if settings.docs:
        add_docs_ui(app, settings.api_prefix)
    add_site_root(
        app,
        {resource: f"{settings.api_prefix}/{resource}" for resource in _resource_names()},
        settings.security_contact,
        has_docs=settings.docs,
    )
    # The documentation, and the root of the site.
    guard_unguarded(app.router.routes[documented:], OPEN)
    require_policies(app.router.routes)
    _add_middleware(app, resources)
    return app


def _api_routes(settings: Settings) -> list[APIRoute]:
    """The routes below the prefix."""
    prefix = settings.api_prefix
    controllers = (
        *CONTROLLERS,
        ReportController,
        EventController,
        AuthController,
        AuthMailsController,
        AuthSessionsController,
    )
    routes = [route for controller in controllers for route in controller(prefix).routes()]
    return [*routes, *MetricsController(prefix, is_open=settings.metrics_open).routes()]


def _contact(addresses: Sequence[str]) -> dict[str, Any]:
    """The contact in the OpenAPI document, by SECURITY_CONTACT."""
    contact: dict[str, Any] = {"name": "Who runs this shop"}
    for address in reversed(addresses):
        if address.startswith("mailto:"):
            contact["email"] = address.removeprefix("mailto:")
        elif address.startswith("https:"):
            contact["url"] = address
    return contact


def _resource_names() -> list[str]:
    """The first part of each path of an entity below the prefix."""
    return [controller().plural for controller in CONTROLLERS]


class Shop(FastAPI):
    """FastAPI with the shop's middleware around it.

    Before a request the server calls `handle_early`, `count_closed` for each connection that it closes, and `end_waits`
    when it stops.
    """

    layers: ASGIApp
    handle_early: EarlyHandler
    count_closed: Callable[[Closed], None]
    end_waits: Callable[[], None]

    def build_middleware_stack(self) -> ASGIApp:
        """The layers that turn errors into responses and find the route.

        FastAPI's other layers render errors in another shape, or serve tracing and a body limit not used here.
        """
        return ErrorResponses(StaticRoutes(AsyncExitStackMiddleware(self.router), self.router.routes))

    async def call_routes(self, scope: Scope, receive: Receive, send: Send) -> None:
        """What the middleware is around. A request goes past FastAPI's look at its telemetry, which is off."""
        if scope["type"] != "http":
            await super().__call__(scope, receive, send)
            return
        scope["app"] = self
        if self.middleware_stack is None:
            self.middleware_stack = self.build_middleware_stack()
        await self.middleware_stack(scope, receive, send)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self.layers(scope, receive, send)


def _add_middleware(shop: Shop, resources: AppResources) -> None:
    """Put the middleware around `shop`, the innermost first: the last one gets a request first."""
    settings = resources.settings

    def limit_of(path: str) -> int:
        # Where MAX_BODY_BYTES is larger than the limit of bulk bodies, it holds for these too.
        is_bulk = path.rstrip("/").endswith(("/bulk", "/bulk_delete"))
        return max(BULK_BYTES, settings.max_body_bytes) if is_bulk else settings.max_body_bytes

    app: ASGIApp = BodyLimit(shop.call_routes, limit_of=limit_of)
    app = SameOrigin(app, allowed=settings.cors_origins, trusted=settings.trusted_proxies)
    app = HttpRules(app)
    limit = _rate_limit(resources)
    edge = Edge(app, callers=Callers(resources.authenticator if settings.auth else None), limit=limit)
    app = Compression(edge)
    if settings.cors_origins:
        app = Cors(
            app,
            origins=settings.cors_origins,
            credentials=settings.cors_credentials,
            uncounted=_unused_limit_headers(limit),
        )
    shop.count_closed = lambda reason: resources.metrics.count_closed(reason.value)
    shop.end_waits = resources.end_waits
    shop.layers = context = RequestContext(
        app,
        service=resources,
        metrics=resources.metrics,
        access_log=resources.access_log,
        trusted=settings.trusted_proxies,
        routes=RouteTemplates([route.path_format for route in shop.router.routes if isinstance(route, Route)]),
    )
    shop.handle_early = FastPath(edge, context, VARY_WITHOUT_ORIGIN if settings.cors_origins else ()).handle_early


def _rate_limit(resources: AppResources) -> RateLimit | None:
    settings = resources.settings
    if not settings.rate_limit_enabled:
        return None
    return RateLimit(
        gateway=resources.gateway,
        calls=settings.rate_limit_calls,
        period=settings.rate_limit_period,
        calls_authenticated=settings.rate_limit_calls_authenticated,
        exempt=settings.rate_limit_exempt or (),
        api_prefix=settings.api_prefix,
    )


def _unused_limit_headers(limit: RateLimit | None) -> dict[str, str]:
    headers = () if limit is None else parsed_lines(limit.lines(limit.usage(None)))
    return {name.decode(): value.decode() for name, value in headers}
