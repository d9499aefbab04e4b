"""An app whose functions wait, invoke, are cancelled and fail; once as `async def`, once as `def`."""

from __future__ import annotations

from typing import Any

import durableq as dq

OPTIONS: dict[str, Any] = {
    "triggers": [dq.EventTrigger("order/placed")],
    "retries": 0,
    "cancel_on": [dq.CancelOn("order/cancelled", if_="event.data.id == async.data.id")],
    "timeouts": dq.Timeouts(finish="30d"),
}
MINE = "event.data.id == async.data.id"
CANCELLED = dq.EventTrigger("inngest/function.cancelled", if_="event.data.function_id == 'order'")


def checkout(kind: str) -> dq.App:
    """The app, with functions of this kind."""
    return _with_coroutines() if kind == "async def" else _with_threads()


def _with_coroutines() -> dq.App:
    app = dq.App("checkout")

    async def apologise(ctx: dq.Context) -> str:
        return await ctx.step.run("apologise", str, ctx.event.data["error"]["message"])

    @app.function("invoice", triggers=[dq.EventTrigger("invoice/wanted")], retries=0)
    async def invoice(ctx: dq.Context) -> str:
        await ctx.step.sleep("print", "1h")
        return await ctx.step.run("number", lambda: f"no {ctx.event.data['id']}")

    @app.function("order", on_failure=apologise, **OPTIONS)
    async def order(ctx: dq.Context) -> list[Any]:
        id = ctx.event.data["id"]
        paid = await ctx.step.wait_for_event("paid", "payment/settled", timeout="3d", if_=MINE)
        if paid is None:
            raise dq.NonRetriableError("never paid")
        number = await ctx.step.invoke("bill", invoice, data={"id": id}, timeout="2d")
        approval = await ctx.step.wait_for_signal("approval", f"approve-{id}", timeout="1d")
        return [paid.data["cents"], number, None if approval is None else approval.data]

    @app.function("approve", triggers=[dq.EventTrigger("order/approved")])
    async def approve(ctx: dq.Context) -> str | None:
        return await ctx.step.send_signal("tell", f"approve-{ctx.event.data['id']}", "yes")

    @app.function("clean-up", triggers=[CANCELLED])
    async def clean_up(ctx: dq.Context) -> str:
        return ctx.event.data["run_id"]

    return app


def _with_threads() -> dq.App:
    app = dq.App("checkout")

    def apologise(ctx: dq.SyncContext) -> str:
        return ctx.step.run("apologise", str, ctx.event.data["error"]["message"])

    @app.function("invoice", triggers=[dq.EventTrigger("invoice/wanted")], retries=0)
    def invoice(ctx: dq.SyncContext) -> str:
        ctx.step.sleep("print", "1h")
        return ctx.step.run("number", lambda: f"no {ctx.event.data['id']}")

    @app.function("order", on_failure=apologise, **OPTIONS)
    def order(ctx: dq.SyncContext) -> list[Any]:
        id = ctx.event.data["id"]
        paid = ctx.step.wait_for_event("paid", "payment/settled", timeout="3d", if_=MINE)
        if paid is None:
            raise dq.NonRetriableError("never paid")
        number = ctx.step.invoke("bill", invoice, data={"id": id}, timeout="2d")
        approval = ctx.step.wait_for_signal("approval", f"approve-{id}", timeout="1d")
        return [paid.data["cents"], number, None if approval is None else approval.data]

    @app.function("approve", triggers=[dq.EventTrigger("order/approved")])
    def approve(ctx: dq.SyncContext) -> str | None:
        return ctx.step.send_signal("tell", f"approve-{ctx.event.data['id']}", "yes")

    @app.function("clean-up", triggers=[CANCELLED])
    def clean_up(ctx: dq.SyncContext) -> str:
        return ctx.event.data["run_id"]

    return app
