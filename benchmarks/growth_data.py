"""Data for `benchmarks.growth`: the rows of a shop of any size, which keep every invariant.

Each value has the same share of rows in a small shop and in a large one. As in a real shop, the number of words in the
names of products, of cities and of names of people grows. Times grow with the keys, as for real orders: the newest
orders are still open.
"""

import json
import random
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal

CATEGORIES = 20
PENDING, IN_PROGRESS, DELIVERED, CANCELED = 1, 2, 3, 4
_COUNTRY = "ES"
_HISTORY = timedelta(days=3 * 365)
_SYLLABLES = [consonant + vowel for consonant in "bdfgklmnprstvz" for vowel in "aeiou"]


def word(number: int) -> str:
    """A word of three syllables. Words with lower numbers are in the names of more products."""
    rest = number * 7919 % len(_SYLLABLES) ** 3
    syllables = []
    for _ in range(3):
        rest, place = divmod(rest, len(_SYLLABLES))
        syllables.append(_SYLLABLES[place])
    return "".join(syllables)


@dataclass(frozen=True, slots=True)
class Size:
    """The size of a shop. Every order has one detail and a bill; every client has an address."""

    products: int
    clients: int
    orders: int
    categories: int = CATEGORIES

    @property
    def reviews(self) -> int:
        return self.orders // 2

    @property
    def words(self) -> int:
        """The vocabulary of the products' names, which grows more slowly than the catalog."""
        return max(100, self.products // 100)


# What an order shows of its bill.
_FIGURES = "discount, shipping, tax_included, to_pay, refunded, net, paid, payment_status"


@dataclass(frozen=True, slots=True)
class Line:
    """The one line of an order. Order, bill and detail have its number as their key."""

    number: int
    product: int
    quantity: int
    cents: int
    client: int
    status: int

    @property
    def price(self) -> str:
        return _money(self.cents)

    @property
    def total(self) -> str:
        return _money(self.quantity * self.cents)

    @property
    def refunded(self) -> str:
        return self.total if self.status == CANCELED else _money(0)

    @property
    def payment_status(self) -> str:
        return "refunded" if self.status == CANCELED else "unpaid"

    @property
    def taxes(self) -> str:
        """What its bill shows of them: no class has a rate."""
        part = f'"net":{self.total},"tax":0.00,"gross":{self.total}'
        return f'[{{"country":"{_COUNTRY}","rate":0.000,"vat_category":"Z",{part}}}]'

    @property
    def figures(self) -> str:
        """The values of `_FIGURES`, as the triggers write them that do not run here."""
        net = _money(0) if self.status == CANCELED else self.total
        return f"0\t0\t0\t{self.total}\t{self.refunded}\t{net}\t0\t{self.payment_status}"


def _money(cents: int) -> str:
    return f"{cents // 100}.{cents % 100:02}"


def _figures_of(ratings: Sequence[Decimal]) -> str:
    """How many ratings a product has, their sum, and their average."""
    total = sum(ratings, Decimal(0))
    average = (total / len(ratings)).quantize(Decimal("0.01"), ROUND_HALF_UP) if ratings else r"\N"
    return f"{len(ratings)}\t{total}\t{average}"


@dataclass(frozen=True, slots=True)
class Trade:
    """The rows of a shop of a size, table by table, each a text with its values between tabs."""

    size: Size
    now: datetime = field(default_factory=lambda: datetime.now(UTC))
    dice: random.Random = field(default_factory=lambda: random.Random(1))

    def tables(self) -> Iterator[tuple[str, Iterable[str]]]:
        """Each table with its filled columns, in the order of filling."""
        yield "categories (name)", (f"Category {n}" for n in range(1, self.size.categories + 1))
        yield (
            "products (name, sku, description, price, stock, category_id, active, review_count, rating_sum, rating_average, created_at, updated_at)",
            self._products(),
        )
        yield "price_changes (product_id, price, valid_from)", self._prices()
        yield "clients (name, lastname, email, email_key, created_at, updated_at)", self._clients()
        yield "addresses (street, number, city, client_id, created_at, updated_at)", self._addresses()
        yield "reviews (rating, comment, product_id, created_at, updated_at)", self._reviews()
        yield (
            "bills (bill_number, date, total, payment_type, client_id, refunded, payment_status, taxes, created_at, updated_at)",
            self._bills(),
        )
        yield (
            "bills (bill_number, date, total, payment_type, client_id, kind, refunds_bill_id, reason, payment_status, taxes, created_at, updated_at)",
            self._credit_bills(),
        )
        # As the triggers note them that do not run here: reports are made of these days.
        yield (
            "sales_changes (day)",
            sorted({self._moment(n, self.size.orders)[:10] for n in range(1, self.size.orders + 1)}),
        )
        credits = sum(line.status == CANCELED for line in self._lines())
        counted = {"sale": self.size.orders, "credit": credits}
        yield (
            "bill_counters (kind, year, last_number)",
            (f"{kind}\t{self.now.year}\t{last}" for kind, last in counted.items() if last),
        )
        yield (
            f"orders (date, total, delivery_method, status, client_id, bill_id, address_id, ship_to, {_FIGURES}, created_at, updated_at)",
            self._orders(),
        )
        yield (
            "order_details (quantity, price, name, sku, order_id, product_id, created_at, updated_at)",
            self._details(),
        )
        yield "stock_movements (product_id, delta, reason, order_detail_id, created_at)", self._ledger()

    def line(self, number: int) -> Line:
        """The line of an order: one in twenty is canceled, and the newest are still open."""
        product = 1 + number * 7919 % self.size.products
        status = CANCELED if number % 20 == 0 else DELIVERED
        if number > self.size.orders * 0.99:
            status = PENDING
        elif number > self.size.orders * 0.97:
            status = IN_PROGRESS
        client = 1 + number * 31 % self.size.clients
        return Line(number, product, 1 + number % 3, self._cents(product), client, status)

    def _lines(self) -> Iterator[Line]:
        return (self.line(number) for number in range(1, self.size.orders + 1))

    def _cents(self, product: int) -> int:
        return 100 + product * 7907 % 99_900

    def _stock(self, product: int) -> int:
        return 0 if product % 50 == 7 else 1000

    def _moment(self, number: int, of: int) -> str:
        return (self.now - _HISTORY * (1 - number / of)).isoformat()

    def _products(self) -> Iterator[str]:
        words = [word(number) for number in range(self.size.words)]
        description = "A thing that many people want. " * 5
        ratings = self._ratings()
        for n in range(1, self.size.products + 1):
            name = " ".join(words[int(self.size.words * self.dice.random() ** 2)] for _ in range(3)).title()
            moment = self._moment(n, self.size.products)
            values = f"{_money(self._cents(n))}\t{self._stock(n)}\t{1 + n % self.size.categories}\t{n % 50 != 3}"
            yield f"{name}\tSKU-{n}\t{description}\t{values}\t{_figures_of(ratings[n])}\t{moment}\t{moment}"

    def _prices(self) -> Iterator[str]:
        """The first price of each, as the trigger writes it that does not run here."""
        for n in range(1, self.size.products + 1):
            yield f"{n}\t{_money(self._cents(n))}\t{self._moment(n, self.size.products)}"

    def _clients(self) -> Iterator[str]:
        names = max(10, self.size.clients // 20)
        for n in range(1, self.size.clients + 1):
            email, moment = f"client{n}@example.com", self._moment(n, self.size.clients)
            yield f"Name {n % names}\tLastname {n % 10}\t{email}\t{email}\t{moment}\t{moment}"

    def _addresses(self) -> Iterator[str]:
        cities = max(5, self.size.clients // 20)
        for n in range(1, self.size.clients + 1):
            moment = self._moment(n, self.size.clients)
            yield f"Street {n * 31 % self.size.clients}\t{n % 100}\tCity {n % cities}\t{n}\t{moment}\t{moment}"

    def _reviews(self) -> Iterator[str]:
        for n in range(1, self.size.reviews + 1):
            moment = self._moment(n, self.size.reviews)
            yield f"{self._rating(n)}\tJust as described.\t{self._reviewed(n)}\t{moment}\t{moment}"

    def _rating(self, review: int) -> Decimal:
        return Decimal(5) if review % 40 == 0 else review % 10 * Decimal("0.5")

    def _reviewed(self, review: int) -> int:
        """The key of the product that a review is about."""
        return 1 + review * 7919 % self.size.products

    def _ratings(self) -> Mapping[int, Sequence[Decimal]]:
        """The ratings of each product, by its key, because the triggers that count them do not run here."""
        found: defaultdict[int, list[Decimal]] = defaultdict(list)
        for review in range(1, self.size.reviews + 1):
            found[self._reviewed(review)].append(self._rating(review))
        return found

    def _bills(self) -> Iterator[str]:
        for line in self._lines():
            moment, method = self._moment(line.number, self.size.orders), "card" if line.number % 3 else "cash"
            number = f"BILL-{self.now.year}-{line.number:06}"
            figures = f"{line.refunded}\t{line.payment_status}\t{line.taxes}"
            yield f"{number}\t{moment[:10]}\t{line.total}\t{method}\t{line.client}\t{figures}\t{moment}\t{moment}"

    def _credit_bills(self) -> Iterator[str]:
        canceled = (line for line in self._lines() if line.status == CANCELED)
        for n, line in enumerate(canceled, start=1):
            moment, method = self._moment(line.number, self.size.orders), "card" if line.number % 3 else "cash"
            amounts = f"{moment[:10]}\t{line.total}\t{method}\t{line.client}\tcredit\t{line.number}\tcanceled\tunpaid"
            yield f"CREDIT-{self.now.year}-{n:06}\t{amounts}\t{line.taxes}\t{moment}\t{moment}"

    def _orders(self) -> Iterator[str]:
        for line in self._lines():
            moment, method = self._moment(line.number, self.size.orders), 1 + line.number % 3
            keys, place = f"{line.client}\t{line.number}\t{line.client}", self._place(line.client)
            yield f"{moment}\t{line.total}\t{method}\t{line.status}\t{keys}\t{place}\t{line.figures}\t{moment}\t{moment}"

    def _place(self, client: int) -> str:
        """What an order keeps of the address of its client."""
        street, city = f"Street {client * 31 % self.size.clients}", f"City {client % max(5, self.size.clients // 20)}"
        place = {"recipient": None, "street": street, "number": f"{client % 100}", "city": city, "postcode": None}
        return json.dumps({**place, "region": None, "country": _COUNTRY, "telephone": None})

    def _details(self) -> Iterator[str]:
        for line in self._lines():
            moment = self._moment(line.number, self.size.orders)
            sold = f"{line.price}\tThing {line.product}\tSKU-{line.product}"
            yield f"{line.quantity}\t{sold}\t{line.number}\t{line.product}\t{moment}\t{moment}"

    def _ledger(self) -> Iterator[str]:
        """The initial stock is the current stock and all that was sold; canceled pieces came back."""
        received = [self._stock(product) for product in range(self.size.products + 1)]
        for line in self._lines():
            if line.status != CANCELED:
                received[line.product] += line.quantity
        start = self._moment(0, 1)
        for product in range(1, self.size.products + 1):
            if received[product]:
                yield f"{product}\t{received[product]}\tinitial\t\\N\t{start}"
        for line in self._lines():
            moment = self._moment(line.number, self.size.orders)
            yield f"{line.product}\t{-line.quantity}\tsale\t{line.number}\t{moment}"
            if line.status == CANCELED:
                yield f"{line.product}\t{line.quantity}\tcancel\t{line.number}\t{moment}"
