"""The world outside: a bank, a warehouse and a postman, all in one SQLite file.

They stand for services of yours, and behave like them: they are away now and then, they refuse, and they know nothing of
runs and steps. A step's body runs *at least* once: a worker may die after the bank has taken the money and before the step
is recorded. So whoever must not act twice is given a key, and answers a key that it knows with what it did the first time.

Every call is noted, so that you can see how often the world was really asked.
"""

import os
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import durableq as dq


class BankAway(Exception):
    """The bank does not answer just now. Trying again may help, so this is a plain exception."""


class CardDeclined(dq.NonRetriableError):
    """The bank has said no. It will say no again, so the step has no further attempts."""


class OutOfStock(dq.NonRetriableError):
    """The warehouse has none."""


def charge_card(key: str, card: str, cents: int) -> str:
    """Take money. Returns the payment's id; for a key that is known, the one of the first time.

    The card "declined" is declined. With the card "flaky" the bank is away for the first two calls.
    """
    asked = _note("charge", key)
    if card == "declined":
        raise CardDeclined(f"card {card!r} was declined")
    if card == "flaky" and asked <= 2:
        raise BankAway("connection reset by the bank")
    with _database() as database:
        database.execute("insert or ignore into payments (id, cents) values (?, ?)", (key, cents))
    return key


def refund(payment: str) -> None:
    """Give the money back; once, however often it is asked."""
    _note("refund", payment)
    with _database() as database:
        database.execute("update payments set cents = 0 where id = ?", (payment,))


def reserve(sku: str, count: int) -> str:
    """Set goods aside. There is never any "unobtainium"."""
    _note("reserve", sku)
    if sku == "unobtainium":
        raise OutOfStock(f"{count} of {sku!r} were wanted, there are none")
    return f"{sku} x {count}"


def print_label(order_id: str, address: str) -> str:
    """A parcel's label. Printing it twice costs a piece of paper."""
    _note("label", order_id)
    return f"LABEL-{order_id}-{address.upper()}"


def write_invoice(key: str, cents: int) -> str:
    """An invoice's number; for a key that is known, the one of the first time."""
    _note("invoice", key)
    return f"{key.upper()}-{cents}"


async def send_mail(key: str, to: str, text: str) -> None:
    """Post a mail; one per key."""
    _note("mail", key)
    with _database() as database:
        database.execute("insert or ignore into mails (id, recipient, text) values (?, ?, ?)", (key, to, text))


def index_product(sku: str, cents: int) -> str:
    """Have a product found by its new price."""
    _note("index", sku)
    return f"{sku} for {cents / 100:.2f}"


def count_views(skus: list[str]) -> int:
    """Add up views. Of a batch that is inserted twice some are counted twice, which nobody minds."""
    _note("views", "batch")
    return len(skus)


def ask_price(supplier: str, sku: str) -> int:
    """A supplier's price, in cents."""
    _note("price", supplier)
    return 100 * len(sku)


def calls(what: str, key: str) -> int:
    """How often this was asked, under this key."""
    with _database() as database:
        found = database.execute("select count(*) from calls where what = ? and key = ?", (what, key)).fetchone()
    return int(found[0])


def count_payments() -> int:
    """Payments that were not given back."""
    with _database() as database:
        return int(database.execute("select count(*) from payments where cents > 0").fetchone()[0])


def sum_payments() -> int:
    """What all payments come to, in cents."""
    with _database() as database:
        return int(database.execute("select coalesce(sum(cents), 0) from payments").fetchone()[0])


def mails_to(recipient: str) -> list[str]:
    """The mails that somebody got."""
    with _database() as database:
        rows = database.execute("select text from mails where recipient = ? order by rowid", (recipient,))
        return [text for (text,) in rows]


def _note(what: str, key: str) -> int:
    """Note a call. Returns how many there have been with this key, this one included."""
    with _database() as database:
        database.execute("insert into calls (what, key) values (?, ?)", (what, key))
    return calls(what, key)


@contextmanager
def _database() -> Iterator[sqlite3.Connection]:
    file = os.environ.get("SHOP_DB") or Path(tempfile.gettempdir()) / f"durableq-shop-{os.getuid()}.sqlite"
    with closing(sqlite3.connect(file, timeout=10)) as database, database:
        database.execute("create table if not exists calls (what text, key text)")
        database.execute("create table if not exists payments (id text primary key, cents integer)")
        database.execute("create table if not exists mails (id text primary key, recipient text, text text)")
        yield database
