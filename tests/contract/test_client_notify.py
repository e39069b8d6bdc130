"""How clients are told of their orders: `language`, and `notify` with each channel on or off."""

import httpx
import pytest

from tests.builders import a_client
from tests.contract.answers import assert_malformed

pytestmark = pytest.mark.integration

EVERY_CHANNEL = {"sms": True, "mail": True, "push": True}


def without(client: httpx.Client, *names: str) -> dict[str, object]:
    return {name: value for name, value in a_client.body(client).items() if name not in names}


def test_a_new_client_is_told_by_every_channel_in_english(client: httpx.Client) -> None:
    created = client.post("/clients", json=without(client, "language", "notify")).json()
    assert created["language"] == "en"
    assert created["notify"] == EVERY_CHANNEL
    assert client.get(f"/clients/{created['id_key']}").json() == created


def test_channels_that_a_new_client_does_not_name_are_on(client: httpx.Client) -> None:
    created = client.post("/clients", json=without(client) | {"notify": {"sms": False}}).json()
    assert created["notify"] == EVERY_CHANNEL | {"sms": False}


@pytest.mark.parametrize("method", ["PATCH", "PUT"])
def test_channels_that_a_change_does_not_name_stay(client: httpx.Client, method: str) -> None:
    row = a_client(client, notify={"mail": False})
    path = f"/clients/{row['id_key']}"
    changed = client.request(method, path, json={"notify": {"push": False}, "language": "en"}).json()
    assert changed["notify"] == {"sms": True, "mail": False, "push": False}
    assert changed["language"] == "en"
    assert client.get(path).json() == changed


def test_the_same_channels_are_no_change(client: httpx.Client) -> None:
    row = a_client(client, notify={"mail": False})
    for same in ({"mail": False}, {}, row["notify"]):
        assert client.patch(f"/clients/{row['id_key']}", json={"notify": same}).json() == row


def test_many_clients_at_once(client: httpx.Client) -> None:
    rows = client.post("/clients/bulk", json=[without(client, "notify"), without(client) | {"notify": {"push": False}}])
    assert rows.status_code == 201, rows.text
    stored = [client.get(f"/clients/{row['id_key']}").json() for row in rows.json()]
    assert [row["notify"] for row in stored] == [EVERY_CHANNEL, EVERY_CHANNEL | {"push": False}]
    changes = [{"id_key": row["id_key"], "notify": {"sms": False}} for row in stored]
    assert client.patch("/clients/bulk", json=changes).status_code == 200
    stored = [client.get(f"/clients/{row['id_key']}").json() for row in stored]
    assert [row["notify"] for row in stored] == [
        EVERY_CHANNEL | {"sms": False},
        {"sms": False, "mail": True, "push": False},
    ]


@pytest.mark.parametrize(
    ("field", "value", "where"),
    [
        ("language", "fr", ("language",)),
        ("language", None, ("language",)),
        ("notify", None, ("notify",)),
        ("notify", ["mail"], ("notify",)),
        ("notify", {"mail": "yes"}, ("notify", "mail")),
        ("notify", {"mail": None}, ("notify", "mail")),
        ("notify", {"pigeon": True}, ("notify", "pigeon")),
    ],
)
def test_other_values_are_refused(client: httpx.Client, field: str, value: object, where: tuple[str, ...]) -> None:
    row = a_client(client)
    for answer in (
        client.post("/clients", json=without(client) | {field: value}),
        client.patch(f"/clients/{row['id_key']}", json={field: value}),
    ):
        assert_malformed(answer, "body", *where)
