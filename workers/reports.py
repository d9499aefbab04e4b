"""On schedule, and without `async`: a `def` function is given a SyncContext, whose verbs block.

It runs in a thread, so it may call whatever blocks: a database driver, a PDF library, `time.sleep`.
"""

import durableq as dq
from workers import outside
from workers.app import app


@app.function(
    "sales-report",
    triggers=[
        # Mondays at seven, by the clock on the wall in Paris. Half an hour's jitter keeps it out of the crowd that every
        # full hour is; a Monday that found no worker alive is made up for by the next deploy.
        dq.CronTrigger("0 7 * * MON", timezone="Europe/Paris", jitter="30m"),
        # And whenever somebody asks for it. One function may have up to ten triggers, of either sort.
        dq.EventTrigger("report/requested"),
    ],
)
def sales_report(ctx: dq.SyncContext) -> dict[str, int]:
    """Count, sum and mail. `parallel` is for `def` functions what `asyncio.gather` is for `async` ones."""
    to = ctx.event.data.get("to", "the-office")  # a tick's event says when it was due, and to whom nothing
    count, cents = ctx.parallel(
        lambda: ctx.step.run("count-payments", outside.count_payments),
        lambda: ctx.step.run("sum-payments", outside.sum_payments),
    )
    ctx.step.sleep("let-it-settle", "1s")
    text = f"{count} payments, {cents / 100:.2f} in all, as of {ctx.now():%Y-%m-%d}"
    ctx.step.run("mail", outside.send_mail, f"report-{ctx.run_id}", to, text)
    return {"count": count, "cents": cents}
