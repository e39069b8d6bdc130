"""Queries on bills, and the counter that numbers them."""

from sqlalchemy import TIMESTAMP, Date, Integer, bindparam, cast, extract, func, literal_column, select, text, union_all
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import aliased

from models import Bill, BillCounter, Order
from models.bill import BillKind
from repositories.base import BaseRepository
from repositories.query.filters import OWNER, OWNER_KEY, by_value, same

# The time of a bill is the midnight (UTC) at which its day begins. As dates, because its indexes compare dates.
_FIRST_DAY = cast(func.timezone("UTC", bindparam("date_from")) + text("interval '1 day - 1 microsecond'"), Date)
_LAST_DAY = cast(func.timezone("UTC", bindparam("date_to")), Date)

# The date in the form of the index for ranges.
_MOMENT = cast(func.least(Bill.date, literal_column("'294276-12-31'::date")), TIMESTAMP)

# The keys of a client's bills: a bill that names no client is that of its order. As one array, which is made once: the bills
# are then found by their keys, and not by a look at every bill.
_own = aliased(Bill)
OWN_BILLS = union_all(
    select(_own.id_key).where(_own.client_id == OWNER_KEY),
    select(_own.id_key)
    .join(Order, Order.bill_id == _own.id_key)
    .where(_own.client_id.is_(None), Order.client_id == OWNER_KEY),
).scalar_subquery()

# By the clock of the database, which all workers share.
_THIS_YEAR = select(cast(extract("year", func.timezone(func.shop_time_zone(), func.now())), Integer))


class BillRepository(BaseRepository[Bill]):
    model = Bill
    ranges = {
        "date_from": cast(_FIRST_DAY, TIMESTAMP) <= _MOMENT,
        "date_to": cast(_LAST_DAY, TIMESTAMP) >= _MOMENT,
    }
    filters = {
        **by_value(
            client_id=Bill.client_id,
            payment_type=Bill.payment_type,
            kind=Bill.kind,
            refunds_bill_id=Bill.refunds_bill_id,
        ),
        "bill_number": same(Bill.bill_number, "bill_number"),
        "date_from": Bill.date >= _FIRST_DAY,
        "date_to": Bill.date <= _LAST_DAY,
        OWNER: Bill.id_key == func.any(func.array(OWN_BILLS)),
    }

    def next_number(self, kind: BillKind) -> str:
        """The next number of this kind and year. No other transaction gets it unless this one fails.

        Other transactions wait for the counter until this one ends: call this last.
        """
        year = self.session.scalars(_THIS_YEAR).one()
        statement = insert(BillCounter).values(kind=kind.value, year=year, last_number=1)
        statement = statement.on_conflict_do_update(
            index_elements=[BillCounter.kind, BillCounter.year], set_={"last_number": BillCounter.last_number + 1}
        )
        number = self.session.scalars(statement.returning(BillCounter.last_number)).one()
        return f"{kind.prefix}-{year}-{number:06d}"
