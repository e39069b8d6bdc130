"""What ends the standing of a caller holds at their next request on every worker, and with Redis away within 5 s (A2)."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass

import pytest

from infrastructure.embedded.servers import ServerUrls
from tests.bounds import Bounds
from tests.guarded_shop import Caller, GuardedShop, guarded_processes
from tests.infrastructure.processes import wait_for
from tests.race.crowd import Call, Connection
from tests.race.databases import execute, new_database
from tests.valkey import Valkey

pytestmark = [pytest.mark.integration, pytest.mark.race, pytest.mark.slow]

# So many connections are kept that both workers have some of them.
CONNECTIONS = 8
# The bound of the contract.
BOUND_SECONDS = 5
# Of Redis: before what the caller loses, if it is to be away.
STATES = ("there", "stopped", "started again", "frozen", "thawed")

# Needs a scope of staff.
TARGET = "/bills?limit=1"
Outcome = tuple[int, str]
INVALID, EXPIRED, FORBIDDEN = (401, "token_invalid"), (401, "token_expired"), (403, "forbidden")


@dataclass
class Standing:
    """The shop, an administrator, and who loses what they had."""

    shop: GuardedShop
    admin: Caller
    caller: Caller

    def call(self, by: Caller, method: str, path: str, json: object = None) -> None:
        response = self.shop(by, method, path, **({} if json is None else {"json": json}))
        assert response.status_code in (200, 204), response.text

    def change_user(self, **changes: object) -> None:
        self.call(self.admin, "PATCH", f"/users/{self.caller.id}", changes)

    def change_key(self, **changes: object) -> None:
        self.call(self.admin, "PATCH", f"/api_keys/{self.caller.id}", changes)

    def sql(self, statement: str) -> None:
        """By another program, which knows nothing of caches."""
        execute(self.shop.database_url, statement, self.caller.id)


_PAST = "2026-01-01T00:00:00Z"

# How a user loses what they had, by a call, and what they are told then.
USERS: dict[str, tuple[Callable[[Standing], None], Outcome]] = {
    "logout": (lambda s: s.call(s.caller, "POST", "/auth/logout"), INVALID),
    "end of all sessions": (lambda s: s.call(s.caller, "DELETE", "/auth/sessions"), INVALID),
    "end of this session": (
        lambda s: s.call(s.shop.log_in(s.caller.id), "DELETE", f"/auth/sessions/{s.caller.session_id}"),
        INVALID,
    ),
    "a password by an administrator": (lambda s: s.change_user(password="another horse battery"), INVALID),
    "disabled": (lambda s: s.change_user(is_active=False), INVALID),
    "demoted": (lambda s: s.change_user(role="customer"), (200, "[]")),
    "deleted": (lambda s: s.call(s.admin, "DELETE", f"/users/{s.caller.id}"), INVALID),
}
KEYS: dict[str, tuple[Callable[[Standing], None], Outcome]] = {
    "key deleted": (lambda s: s.call(s.admin, "DELETE", f"/api_keys/{s.caller.id}"), INVALID),
    "key without the scope": (lambda s: s.change_key(scopes=["stock:read"]), FORBIDDEN),
    "key expired": (lambda s: s.change_key(expires_at=_PAST), EXPIRED),
}
USERS_BY_SQL: dict[str, tuple[Callable[[Standing], None], Outcome]] = {
    "disabled": (lambda s: s.sql("UPDATE users SET is_active = false WHERE id_key = %s"), INVALID),
    "demoted": (lambda s: s.sql("UPDATE users SET role = 'customer' WHERE id_key = %s"), (200, "[]")),
    "sessions deleted": (lambda s: s.sql("DELETE FROM user_sessions WHERE user_id = %s"), INVALID),
    "sessions expired": (
        lambda s: s.sql("UPDATE user_sessions SET expires_at = now() - interval '1 s' WHERE user_id = %s"),
        INVALID,
    ),
    "deleted": (lambda s: s.sql("DELETE FROM users WHERE id_key = %s"), INVALID),
}
KEYS_BY_SQL: dict[str, tuple[Callable[[Standing], None], Outcome]] = {
    "key deleted": (lambda s: s.sql("DELETE FROM api_keys WHERE id_key = %s"), INVALID),
    "key expired": (
        lambda s: s.sql("UPDATE api_keys SET expires_at = now() - interval '1 s' WHERE id_key = %s"),
        EXPIRED,
    ),
    "key without scopes": (lambda s: s.sql("UPDATE api_keys SET scopes = '{}' WHERE id_key = %s"), FORBIDDEN),
}


@pytest.fixture(scope="module")
def valkey(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Valkey]:
    with Valkey(tmp_path_factory.mktemp("valkey")) as valkey:
        yield valkey


@pytest.fixture(scope="module")
def shop(valkey: Valkey, servers: ServerUrls, tmp_path_factory: pytest.TempPathFactory) -> Iterator[GuardedShop]:
    with guarded_processes(new_database(servers.database_url), valkey.url, tmp_path_factory.mktemp("standing")) as shop:
        yield shop


@pytest.fixture(scope="module")
def admin(shop: GuardedShop) -> Caller:
    return shop.user("admin")


@pytest.fixture
def connections(shop: GuardedShop) -> Iterator[list[Connection]]:
    with ExitStack() as stack:
        yield [stack.enter_context(closing(Connection(shop.url))) for _ in range(CONNECTIONS)]


def answer(connection: Connection, caller: Caller) -> Outcome:
    """The status, and the code of a refusal or what is shown otherwise."""
    outcome = connection.send(Call("GET", TARGET, headers=caller.headers))
    return outcome.status, str(outcome.body["code"] if outcome.status >= 400 else outcome.body)


def put(valkey: Valkey, state: str) -> None:
    if state == "stopped":
        valkey.stop()
    elif state == "frozen":
        valkey.freeze()
    elif state == "thawed":
        valkey.freeze()
        valkey.thaw()
    elif state == "started again":
        valkey.stop()
        valkey.start()


@pytest.mark.parametrize("state", STATES)
def test_a2_what_ends_a_standing_holds_at_the_next_request_on_every_worker(
    shop: GuardedShop, admin: Caller, connections: list[Connection], valkey: Valkey, state: str, bounds: Bounds
) -> None:
    staff_bill(shop, admin)
    ways = [(name, end, told, "users") for name, (end, told) in USERS.items()]
    ways += [(name, end, told, "keys") for name, (end, told) in KEYS.items()]
    wrong: list[tuple[object, ...]] = []
    try:
        for name, end, told, kind in ways:
            caller = known(shop, kind, connections)
            put(valkey, state)
            end(Standing(shop, admin, caller))
            is_at_once = state in ("there", "started again", "thawed")
            if not is_told(connections, caller, told, None if is_at_once else bounds):
                wrong.append((state, name, [answer(connection, caller) for connection in connections]))
            if state in ("stopped", "frozen"):
                back(valkey, state)
                # What has ended does not stand again when Redis is back with what it knew.
                if any(answer(connection, caller) != told for connection in connections * 2):
                    wrong.append((state, f"{name}, and Redis is back", told))
    finally:
        back(valkey, state)
    assert wrong == []


@pytest.mark.parametrize("state", ["there", "stopped", "frozen"])
def test_a2_another_program_ends_it_in_the_database(
    shop: GuardedShop, admin: Caller, connections: list[Connection], valkey: Valkey, state: str, bounds: Bounds
) -> None:
    staff_bill(shop, admin)
    wrong: list[tuple[str, str]] = []
    ways = [(name, *way, "users") for name, way in USERS_BY_SQL.items()]
    ways += [(name, *way, "keys") for name, way in KEYS_BY_SQL.items()]
    try:
        for name, end, told, kind in ways:
            caller = known(shop, kind, connections)
            put(valkey, state)
            end(Standing(shop, admin, caller))
            if not is_told(connections, caller, told, bounds):
                wrong.append((state, name))
            back(valkey, state)
            # Redis has missed the news, and may be behind for as long.
            if state != "there" and not is_told(connections, caller, told, bounds):
                wrong.append((state, f"{name}, and Redis is back"))
    finally:
        back(valkey, state)
    assert wrong == []


def staff_bill(shop: GuardedShop, admin: Caller) -> None:
    """A bill, so that a list of none is that of a customer."""
    assert shop(admin, "POST", "/bills", json={"total": 1, "payment_type": "cash"}).status_code == 201


def known(shop: GuardedShop, kind: str, connections: list[Connection]) -> Caller:
    """A caller who may read bills, and whom every worker knows."""
    caller = shop.user("staff") if kind == "users" else shop.key("bills:read")
    for connection in connections * 2:
        assert answer(connection, caller)[0] == 200
    return caller


def is_told(connections: list[Connection], caller: Caller, told: Outcome, bounds: Bounds | None) -> bool:
    """Whether all connections are told so, one after the other; at once, or else within the bound."""

    def is_told_now() -> bool:
        return all(answer(connection, caller) == told for connection in connections)

    if bounds is None:
        return is_told_now()
    with bounds.within(BOUND_SECONDS, "the news"):
        wait_for(is_told_now, "the news")
    return True


def back(valkey: Valkey, state: str) -> None:
    if state == "stopped":
        valkey.stop()
        valkey.start()
    elif state == "frozen":
        valkey.thaw()
