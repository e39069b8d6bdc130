"""Which rows exist for which callers, by the conditions alone."""

import pytest

from repositories.query.filters import EVERY_ROW, OWNER, PUBLIC
from security.principal import ANONYMOUS, EVERYBODY, Kind, Principal
from security.scopes import SCOPES_OF, Role, Scope
from services.address import AddressService
from services.category import CategoryService
from services.client import ClientService
from services.identity.errors import EmailNotVerified, Forbidden
from services.ownership import client_of, require_own_client
from services.product import ProductService
from services.review import ReviewService

pytestmark = pytest.mark.unit

CUSTOMER = Principal(Kind.USER, 7, role=Role.CUSTOMER, client_id=3)
UNVERIFIED = Principal(Kind.USER, 8, role=Role.CUSTOMER)
# Staff may be clients too: for them that decides nothing.
STAFF = Principal(Kind.USER, 9, SCOPES_OF[Role.STAFF], Role.STAFF, client_id=3)
KEY = Principal(Kind.API_KEY, 1, frozenset([Scope.ORDERS_READ]))


@pytest.mark.parametrize("principal", [EVERYBODY, STAFF, KEY])
def test_others_see_and_change_every_row_that_a_policy_lets_them_reach(principal: Principal) -> None:
    for service in (AddressService, ProductService, ReviewService, CategoryService):
        assert service.visible_to(principal) == service.owned_by(principal) == EVERY_ROW


def test_a_customer_reads_what_is_public_or_theirs_and_changes_what_is_theirs() -> None:
    assert AddressService.visible_to(CUSTOMER) == AddressService.owned_by(CUSTOMER) == {OWNER: 3}
    assert ProductService.visible_to(CUSTOMER) == {PUBLIC: True}
    assert (ReviewService.visible_to(CUSTOMER), ReviewService.owned_by(CUSTOMER)) == ({PUBLIC: True}, {OWNER: 3})
    assert CategoryService.visible_to(CUSTOMER) == EVERY_ROW


@pytest.mark.parametrize("principal", [ANONYMOUS, UNVERIFIED])
def test_who_has_no_client_owns_nothing(principal: Principal) -> None:
    assert ClientService.visible_to(principal) == ReviewService.owned_by(principal) == {OWNER: 0}
    assert ProductService.visible_to(principal) == ReviewService.visible_to(principal) == {PUBLIC: True}


def test_the_client_of_a_customer() -> None:
    assert client_of(CUSTOMER) == 3
    require_own_client(CUSTOMER, 3)
    for client_id in (4, None):
        with pytest.raises(Forbidden):
            require_own_client(CUSTOMER, client_id)
    with pytest.raises(EmailNotVerified):
        require_own_client(UNVERIFIED, None)
