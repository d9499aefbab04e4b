"""An order, from the event that somebody has ordered to the parcel. Read from the top: it happens in this order.

Each `await ctx.step…` is recorded once in Redis. When the worker dies, or the run sleeps, the function is called again
from the top later, maybe on another machine; the steps that are recorded answer at once, and it goes on where it was.
"""

import asyncio
from dataclasses import dataclass
from typing import TypedDict

import durableq as dq
from workers import outside
from workers.app import app

PRICES = {"tea": 450, "cup": 1200, "unobtainium": 99_900}


class Item(TypedDict):
    """One line of an order."""

    sku: str
    count: int


class OrderCreated(TypedDict):
    """The data of `order/created`. An event whose data does not fit fails its run at once, naming the field."""

    order_id: str
    card: str
    """Whose card is charged, or "transfer" for who pays at the bank."""
    items: list[Item]


@dataclass
class Order:
    """An order with what it costs. A step can return a dataclass, since its return annotation names the type."""

    id: str
    card: str
    items: list[Item]
    cents: int


def load_order(data: OrderCreated) -> Order:
    """The order with its prices. A plain function: a step's body may be `def` or `async def`."""
    cents = sum(PRICES[item["sku"]] * item["count"] for item in data["items"])
    return Order(data["order_id"], data["card"], data["items"], cents)


class InvoiceWanted(TypedDict):
    """What `make-invoice` is invoked with."""

    order_id: str
    cents: int


@app.function("make-invoice")
async def make_invoice(ctx: dq.Context[InvoiceWanted]) -> str:
    """No event starts it: others invoke it, in this app or another. The result is theirs, attempts and history its own."""
    data = ctx.event.data
    return await ctx.step.run("write", outside.write_invoice, f"invoice-{data['order_id']}", data["cents"])


async def apologise(ctx: dq.Context) -> None:
    """What is executed when an order has failed for good: a run of its own, with the event and the error of the other."""
    failed = ctx.event.data
    order_id, why = failed["event"]["data"]["order_id"], failed["error"]["message"]
    key = f"apology-{failed['run_id']}"
    await ctx.step.run("mail", outside.send_mail, key, f"order-{order_id}", f"We are sorry: {why}")


MINE = "event.data.order_id == async.data.order_id"
"""Of what arrives, `async`, what is about the run's own order. An equality like this one is looked up, not searched."""


@app.function(
    "process-order",
    name="Process an order",
    triggers=[dq.EventTrigger("order/created", if_="size(event.data.items) > 0")],
    retries=3,
    cancel_on=[dq.CancelOn("order/cancelled", if_=MINE)],
    on_failure=apologise,
)
async def process_order(ctx: dq.Context[OrderCreated]) -> dict[str, str]:
    """Take the money, pack the parcel, tell the world."""
    order = await ctx.step.run("load-order", load_order, ctx.event.data)

    # Time to change one's mind. A sleep holds no worker, and may last a year.
    await ctx.step.sleep("grace-period", "1s")

    if order.card == "transfer":
        # Somebody else's event goes by; ours is seen even if it came before this line was reached. None: it never came.
        settled = await ctx.step.wait_for_event("settled", "payment/settled", timeout="3d", if_=MINE)
        if settled is None:
            raise dq.NonRetriableError("the order was not paid within 3 days")
        payment: str = settled.data["payment"]
    else:
        # The bank may be away: more attempts than the function's, at short intervals. The key is the same at every
        # attempt, so that the bank takes the money once.
        backoff = dq.Backoff.exponential(initial="500ms", maximum="10s")
        bank = ctx.step.options(retries=5, backoff=backoff, timeout="10s")
        payment = await bank.run("charge-card", outside.charge_card, f"charge-{ctx.run_id}", order.card, order.cents)

    try:
        # Steps beside each other are plain asyncio. Each has its own attempts.
        label, *reserved = await asyncio.gather(
            ctx.step.run("print-label", outside.print_label, order.id, "home"),
            *(ctx.step.run(f"reserve-{item['sku']}", outside.reserve, **item) for item in order.items),
        )
    except dq.StepError as error:
        # A step that has used up its attempts raises here, as any call may. Whatever else went wrong is not ours to mend.
        if not error.matches(outside.OutOfStock):
            raise
        await ctx.step.run("refund", outside.refund, payment)
        await ctx.step.send_event("announce", dq.Event("order/refunded", {"order_id": order.id, "why": error.message}))
        return {"order": order.id, "outcome": "refunded"}

    # The logger is quiet while recorded steps answer: this line appears once.
    ctx.logger.info("order.packed", order=order.id, parcels=reserved)

    # Another function's run, and what it comes to. The function itself, not its id, so that type checkers know what that is.
    invoice = await ctx.step.invoke("invoice", make_invoice, data={"order_id": order.id, "cents": order.cents})
    await ctx.step.send_event("announce", dq.Event("order/shipped", {"order_id": order.id, "label": label}))
    return {"order": order.id, "outcome": "shipped", "label": label, "invoice": invoice}


@app.function(
    "undo-order",
    triggers=[dq.EventTrigger("durableq/function.cancelled", if_="event.data.function_id == 'process-order'")],
)
async def undo_order(ctx: dq.Context) -> None:
    """A run that is cancelled executes nothing more, so what it has done is undone by another."""
    # A charge that was on its way then may still reach the bank. It has 10 s, so after these nothing more comes.
    await ctx.step.sleep("let-the-bank-finish", "15s")
    await ctx.step.run("refund", outside.refund, f"charge-{ctx.event.data['run_id']}")


@app.function("tell-customer", triggers=[dq.EventTrigger("order/shipped"), dq.EventTrigger("order/refunded")])
async def tell_customer(ctx: dq.Context) -> None:
    """One function's event starts another, which has attempts and a history of its own."""
    data = ctx.event.data
    news = f"is on its way: {data['label']}" if ctx.event.name == "order/shipped" else f"cannot be had: {data['why']}"
    key = f"news-{ctx.run_id}"
    await ctx.step.run("mail", outside.send_mail, key, f"order-{data['order_id']}", f"Your order {news}")
