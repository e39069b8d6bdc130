"""What the use cases of accounts share in one worker, and what they know of a visitor."""

from collections.abc import Callable
from dataclasses import dataclass

from config.settings import Settings
from security.access_token import AccessTokens
from security.secret_keys import KeyRing
from services.executor import Executor
from services.identity.authenticator import Authenticator
from services.identity.password_threads import PasswordThreads
from services.identity.route_limits import RouteLimits


@dataclass(frozen=True, slots=True)
class AccountContext:
    """The keys are read at the first use: a start must not depend on a folder that nobody needs."""

    settings: Settings
    executor: Executor
    authenticator: Authenticator
    passwords: PasswordThreads
    limits: RouteLimits
    access_tokens: Callable[[], AccessTokens]
    key_ring: Callable[[], KeyRing]


@dataclass(frozen=True, slots=True)
class Visitor:
    """Where a request comes from: the address of its client, and what it says of its program."""

    address: str
    device: str | None = None
