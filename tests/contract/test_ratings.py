"""What products show of their reviews: exact at any moment, part of the entity tag, and no edit of the product."""

from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from tests.builders import Row, a_product, a_review

pytestmark = pytest.mark.integration


def ratings(row: Row) -> tuple[float | None, int]:
    return row["rating_average"], row["review_count"]


def shown(client: httpx.Client, product: Row) -> tuple[float | None, int]:
    """The figures of the product by itself, which are the same in the list."""
    key = product["id_key"]
    by_itself = ratings(client.get(f"/products/{key}").json())
    assert [ratings(row) for row in client.get("/products", params={"id_key": key}).json()] == [by_itself]
    return by_itself


def test_every_change_of_a_review_is_seen_at_once(client: httpx.Client) -> None:
    product, other = a_product(client), a_product(client)
    assert ratings(product) == shown(client, product) == (None, 0)
    first = a_review(client, product_id=product["id_key"], rating=5)
    assert shown(client, product) == (5, 1)
    for rating in (4, 4):
        a_review(client, product_id=product["id_key"], rating=rating)
    assert shown(client, product) == (4.33, 3)
    one = f"/reviews/{first['id_key']}"
    assert client.patch(one, json={"rating": 4}).status_code == 200
    assert shown(client, product) == (4, 3)
    assert client.patch(one, json={"comment": "Changed"}).status_code == 200
    assert client.patch(one, json={"product_id": other["id_key"], "rating": 0}).status_code == 200
    assert (shown(client, product), shown(client, other)) == ((4, 2), (0, 1))
    assert client.delete(one).status_code == 204
    assert (shown(client, product), shown(client, other)) == ((4, 2), (None, 0))


def test_reviews_change_the_entity_tag_and_not_the_version(client: httpx.Client) -> None:
    product = a_product(client)
    path = f"/products/{product['id_key']}"
    before = client.get(path)
    a_review(client, product_id=product["id_key"], rating=3.5)
    after = client.get(path, headers={"If-None-Match": before.headers["ETag"]})
    assert after.status_code == 200
    assert after.headers["ETag"] != before.headers["ETag"]
    assert after.json()["updated_at"] == product["updated_at"]
    assert client.get(path, headers={"If-None-Match": after.headers["ETag"]}).status_code == 304
    changed = client.patch(path, json={"stock": 7}, headers={"If-Match": before.headers["ETag"]})
    assert changed.status_code == 200, changed.text
    assert ratings(changed.json()) == (3.5, 1)
    assert changed.headers["ETag"] == client.get(path).headers["ETag"]
    assert client.patch(path, json={"stock": 8}, headers={"If-Match": after.headers["ETag"]}).status_code == 412


def test_what_was_read_may_be_sent_back(client: httpx.Client) -> None:
    product = a_product(client)
    a_review(client, product_id=product["id_key"], rating=2)
    read = client.get(f"/products/{product['id_key']}").json()
    sent = client.put(f"/products/{product['id_key']}", json=read | {"rating_average": 5, "review_count": 99})
    assert (sent.status_code, sent.json()) == (200, read)


def test_reviews_of_one_moment_all_count(client: httpx.Client) -> None:
    product = a_product(client)["id_key"]
    with ThreadPoolExecutor(8) as threads:
        made = list(threads.map(lambda n: a_review(client, product_id=product, rating=n % 6), range(24)))
        list(threads.map(lambda row: client.delete(f"/reviews/{row['id_key']}"), made[:6]))
    assert shown(client, {"id_key": product}) == (2.5, 18)
