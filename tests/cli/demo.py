"""An app for the tests of the command line: its functions do what their names say."""

from __future__ import annotations

import durableq as dq

app = dq.App("demo")
USER = "event.data.user"


class Declined(Exception):
    """What a bank says."""


def decline() -> None:
    """A body that never succeeds."""
    raise Declined("no \x1b[31mmoney")


@app.function("adds", triggers=[dq.EventTrigger("demo/add")], name="Adds two numbers")
async def adds(ctx: dq.Context) -> int:
    """One step, one short sleep."""
    total: int = await ctx.step.run("sum", sum, ctx.event.data["numbers"])
    await ctx.step.sleep("pause", "10ms")
    return total


@app.function("declines", triggers=[dq.EventTrigger("demo/pay", if_="event.data.cents > 0")], retries=0)
async def declines(ctx: dq.Context) -> None:
    """Fails in a step."""
    await ctx.step.run("charge", decline)


@app.function("sleeps", triggers=[dq.EventTrigger("demo/sleep")])
def sleeps(ctx: dq.SyncContext) -> None:
    """Waits for an hour."""
    ctx.step.sleep("nap", "1h")


@app.function("retries", triggers=[dq.EventTrigger("demo/retry")], backoff=dq.Backoff.fixed("1h"))
async def retries(ctx: dq.Context) -> None:
    """Waits for a step's second attempt."""
    await ctx.step.run("charge", decline)


@app.function("raises", triggers=[dq.EventTrigger("demo/raise")], backoff=dq.Backoff.fixed("1h"))
async def raises(ctx: dq.Context) -> None:
    """Waits for the second attempt of the code outside steps."""
    raise Declined("outside")


@app.function("asks", triggers=[dq.EventTrigger("demo/ask")])
async def asks(ctx: dq.Context) -> object:
    """Waits for a signal of the name that it was given."""
    answer = await ctx.step.wait_for_signal("answer", ctx.event.data["signal"], timeout="1h")
    return None if answer is None else answer.data


@app.function("paces", triggers=[dq.EventTrigger("demo/pace")], concurrency=dq.Concurrency(1, key=USER, hold="run"))
async def paces(ctx: dq.Context) -> None:
    """Of each user one at a time, for an hour."""
    await ctx.step.sleep("nap", "1h")


@app.function("alerts", triggers=[dq.EventTrigger("demo/alert")], rate_limit=dq.RateLimit(1, period="1h", key=USER))
def alerts(ctx: dq.SyncContext) -> None:
    """Of each user once an hour."""


async def regrets(ctx: dq.Context) -> None:
    """What follows when `orders` has failed."""


MINE = "event.data.id == async.data.id"


@app.function(
    "orders",
    triggers=[dq.EventTrigger("demo/order")],
    retries=0,
    cancel_on=[dq.CancelOn("demo/stop", if_=MINE, timeout="2h")],
    timeouts=dq.Timeouts(finish="1d"),
    on_failure=regrets,
)
async def orders(ctx: dq.Context) -> int:
    """Waits for its payment, then for another function."""
    paid = await ctx.step.wait_for_event("paid", "demo/paid", timeout="1h", if_=MINE)
    if paid is None or not paid.data["numbers"]:
        raise Declined("nothing was paid")
    return await ctx.step.invoke("add", adds, data={"numbers": paid.data["numbers"]})


@app.function("reports", triggers=[dq.CronTrigger("0 9 29 2 *", timezone="Europe/Paris", jitter="30s")])
async def reports(ctx: dq.Context) -> None:
    """On a day that is no day of most years."""
