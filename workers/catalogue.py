"""How many, how often, in which order: functions whose events come in crowds (docs/flow-control.md).

Each says what is to become of too many: wait, be replaced by the newest, be taken together, or be dropped.
"""

import durableq as dq
from workers import outside
from workers.app import app


@app.function(
    "index-product",
    triggers=[dq.EventTrigger("product/edited")],
    # Whoever edits a product saves it many times. It is indexed once, when it has been left alone for ten seconds, and at
    # the latest after a minute. The run sees the newest event.
    debounce=dq.Debounce("10s", key="event.data.sku", timeout="1m"),
)
async def index_product(ctx: dq.Context) -> str:
    """One run for a flurry of events."""
    return await ctx.step.run("index", outside.index_product, ctx.event.data["sku"], ctx.event.data["cents"])


@app.function(
    "count-views",
    triggers=[dq.EventTrigger("product/viewed")],
    # A thousand views are ten inserts: a hundred at a time, or what has come within two seconds.
    batch=dq.Batch(100, timeout="2s"),
)
async def count_views(ctx: dq.Context) -> int:
    """One run for many events. All of them are in `ctx.events`."""
    return await ctx.step.run("insert", outside.count_views, [event.data["sku"] for event in ctx.events])


@app.function(
    "ask-price",
    triggers=[dq.EventTrigger("price/wanted")],
    # The suppliers' machines are old: two questions at a time to each, and in all no more than sixty a minute. A question
    # that was asked today has its answer; and a customer who waits goes before our own curiosity.
    concurrency=dq.Concurrency(2, key="event.data.supplier"),
    throttle=dq.Throttle(60, period="1m", burst=5),
    idempotency="event.data.supplier + '/' + event.data.sku",
    priority="has(event.data.customer) ? 120 : 0",
)
async def ask_price(ctx: dq.Context) -> int:
    """What waits is queued, and nothing of it is lost."""
    return await ctx.step.run("ask", outside.ask_price, ctx.event.data["supplier"], ctx.event.data["sku"])
