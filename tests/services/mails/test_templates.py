"""Templates: every mail in both languages, what is put into it, and files of an operator's own."""

from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from jinja2 import UndefinedError

from services.mails.templates import Templates

pytestmark = pytest.mark.unit

NAMES = sorted(path.stem for path in Path("services/mails/templates/en").glob("*.jinja") if path.stem != "words")
LANGUAGES = ("en", "es")
ORDER = {
    "id_key": 1041,
    "currency": "EUR",
    "discount": Decimal("5.00"),
    "shipping": Decimal("4.90"),
    "to_pay": Decimal("1254.40"),
    "order_details": [
        {"quantity": 2, "name": "Lamp <b>Nordic</b> & Co", "price": Decimal("249.95"), "product_id": 1},
        {"quantity": 1, "name": "", "price": Decimal("754.60"), "product_id": 2},
    ],
}
VALUES: dict[str, Any] = {
    "shop_name": "The Shop",
    "shop_url": "https://shop.example",
    "username": "ana",
    "name": "Ada <script>",
    "order": ORDER,
    "returned": Decimal("754.60"),
    "link": "https://shop.example/orders/1041",
    "product": {"name": "Lamp", "sku": "L-1", "stock": 2, "reorder_level": 5},
    "endpoint_id": 7,
    "url": "https://receiver.example/hooks",
    "gone": False,
    "job_id": 7,
    "task": "verify_invariants",
    "attempts": 8,
    "error": "OperationalError: nothing",
    "broken": [{"text": "Every order has lines", "count": 3, "first": "order 7"}],
}
WITH_LINK = {name for name in NAMES if "set action" in Path(f"services/mails/templates/en/{name}.jinja").read_text()}
OF_ORDERS = ["money_returned", *(name for name in NAMES if name.startswith("order_"))]


@pytest.fixture(scope="module")
def templates() -> Templates:
    return Templates()


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("name", NAMES)
def test_every_mail_can_be_written(templates: Templates, name: str, language: str) -> None:
    values = VALUES if name in WITH_LINK else {key: value for key, value in VALUES.items() if key != "link"}
    content = templates.mail(name, language, values)
    assert content.subject
    assert "\n" not in content.subject
    for said in (content.text, content.html):
        assert "{{" not in said
        assert "https://shop.example" in said
    assert f'<html lang="{language}">' in content.html
    assert "<script>" not in content.html
    assert max(map(len, content.text.splitlines())) <= 120


def test_the_languages_have_the_same_files() -> None:
    folders = [{path.name for path in Path(f"services/mails/templates/{one}").iterdir()} for one in LANGUAGES]
    assert folders[0] == folders[1]


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("name", OF_ORDERS)
def test_short_messages_are_one_line(templates: Templates, name: str, language: str) -> None:
    title, text = templates.short(name, language, VALUES)
    assert "1041" in title + text
    assert "\n" not in title + text
    assert text.startswith("The Shop: ")
    assert len(text) < 160


def test_money_is_written_as_people_do(templates: Templates) -> None:
    assert "\N{EURO SIGN}1,254.40" in templates.mail("order_placed", "en", VALUES).text
    assert "1.254,40\N{NO-BREAK SPACE}\N{EURO SIGN}" in templates.mail("order_placed", "es", VALUES).text


def test_values_are_text_in_html(templates: Templates) -> None:
    content = templates.mail("order_placed", "en", VALUES)
    assert "Lamp &lt;b&gt;Nordic&lt;/b&gt; &amp; Co" in content.html
    assert "Lamp <b>Nordic</b> & Co" in content.text
    # A line of a release that kept no names.
    assert "Product 2" in content.text


def test_a_subject_stays_one_line(templates: Templates) -> None:
    product = {**VALUES["product"], "name": "Lamp\r\nBcc: eve@example.org"}
    assert (
        templates.mail("stock_low", "en", VALUES | {"product": product}).subject
        == "Low stock: Lamp Bcc: eve@example.org"
    )


def test_files_of_an_operator_stand_for_those_of_the_shop(tmp_path: Path) -> None:
    (tmp_path / "es").mkdir()
    own = '{% extends layout %}{% set action = "Ver" %}{% block subject %}¡Gracias!{% endblock %}{% block body %}Hola{% endblock %}'
    (tmp_path / "es" / "order_placed.jinja").write_text(own)
    templates = Templates(tmp_path)
    assert templates.mail("order_placed", "es", VALUES).subject == "¡Gracias!"
    assert templates.mail("order_placed", "en", VALUES).subject == "Your order 1041"
    assert templates.mail("order_canceled", "es", VALUES).subject == "Su pedido 1041 se ha cancelado"


def test_a_value_that_is_missing_is_an_error(templates: Templates) -> None:
    with pytest.raises(UndefinedError):
        templates.mail("order_placed", "en", {"shop_name": "", "shop_url": ""})
