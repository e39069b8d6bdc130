"""Settings of the broker: its URL, its exchange, and where notifications come from."""

import pytest

from config.settings import SettingsError, read_settings

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    "url", ["amqp://rabbit", "amqps://shop:p%40ss@rabbit:5671/orders?heartbeat=5", "amqp://[::1]:5672/"]
)
def test_urls_of_a_broker_are_taken_as_they_are(url: str) -> None:
    assert read_settings({"RABBITMQ_URL": f" {url} "}).rabbitmq_url == url


@pytest.mark.parametrize(
    "url", ["rabbit:5672", "http://rabbit", "amqp://", "amqp://rabbit:0", "amqp://:secret@rabbit", "amqp://a b"]
)
def test_others_are_refused_without_their_password(url: str) -> None:
    with pytest.raises(SettingsError, match="RABBITMQ_URL holds") as caught:
        read_settings({"RABBITMQ_URL": url})
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("name", ["amq.topic", "two words", "", "x" * 128])
def test_an_exchange_has_a_name_that_is_free(name: str) -> None:
    if name:
        with pytest.raises(SettingsError, match="RABBITMQ_EXCHANGE holds"):
            read_settings({"RABBITMQ_EXCHANGE": name})
    else:
        assert read_settings({"RABBITMQ_EXCHANGE": name}).rabbitmq_exchange == "order_events"


def test_notifications_come_by_amqp_only_from_a_broker() -> None:
    with pytest.raises(SettingsError, match="set RABBITMQ_URL"):
        read_settings({"NOTIFY_FROM": "amqp"})
    assert read_settings({"NOTIFY_FROM": "AMQP", "RABBITMQ_URL": "amqp://rabbit"}).notify_from == "amqp"
