"""Credit bills for orders that were canceled before cancellations made one: what a person decides to write."""

from sqlalchemy.orm import Session

from models.order import OrderStatus
from repositories.books import BooksRepository, Rows
from repositories.order import OrderRepository
from services.bill import BillService
from services.event_writing import tell_of_orders


class BooksService:
    """Looks at the books, and writes what is missing in them, in one session."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self.repository = BooksRepository(session)

    def unanswered_cancellations(self) -> Rows:
        """Canceled orders whose bill was not given back, as `BooksRepository` has them, in the order of their keys."""
        rows = self.repository
        found = [row for older in (True, False) for row in rows.unanswered_cancellations(None, older=older)]
        return sorted(found, key=lambda row: row.id_key)

    def bills_of_others(self) -> Rows:
        """Orders with a bill or credit bill of another client, as `BooksRepository` has them."""
        return self.repository.bills_of_others(None)

    def answer(self, order_id: int) -> bool:
        """Give back what is left of the bill of the order, if it is canceled; whether there was anything."""
        order = OrderRepository(self.session).lock(order_id)
        if order is None or order.status != OrderStatus.CANCELED:
            return False
        credit = BillService(self.session).answer_cancellation(order)
        if credit is None:
            return False
        tell_of_orders(self.session, [order_id])
        return True
