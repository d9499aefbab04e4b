"""A small app that the tests of the test environment test."""

from __future__ import annotations

import asyncio
from typing import Any

import durableq as dq


class BankAway(Exception):
    """Trying again may help."""


class World:
    """What bodies did, in order."""

    def __init__(self) -> None:
        self.done: list[str] = []

    def does(self, what: str, gives: Any = None) -> Any:
        self.done.append(what)
        return gives


def shop(world: World, app_id: str = "shop") -> dq.App:
    """An app of its own for each test."""
    app = dq.App(app_id)

    def charge(cents: int) -> str:
        world.does(f"charge {cents}")
        return f"paid {cents}"

    async def ship(payment: str) -> str:
        return world.does("ship", f"{payment}, shipped")

    @app.function("order", triggers=[dq.EventTrigger("order/created")])
    async def order(ctx: dq.Context) -> str:
        payment = await ctx.step.run("charge", charge, ctx.event.data.get("cents", 100))
        await ctx.step.sleep("grace", "1h")
        shipped = await ctx.step.run("ship", ship, payment)
        await ctx.step.send_event("announce", dq.Event("order/shipped", {"what": shipped}))
        return shipped

    @app.function("tell", triggers=[dq.EventTrigger("order/shipped")])
    async def tell(ctx: dq.Context) -> str:
        return await ctx.step.run("mail", world.does, "mail", ctx.event.data["what"])

    @app.function("report", triggers=[dq.EventTrigger("report/requested")])
    def report(ctx: dq.SyncContext) -> list[str]:
        first, second = ctx.parallel(
            lambda: ctx.step.run("first", world.does, "first", "1"),
            lambda: ctx.step.run("second", world.does, "second", "2"),
        )
        ctx.step.sleep("night", "12h")
        ctx.step.run("print", world.does, "print")
        return [first, second]

    @app.function("reminders", triggers=[dq.EventTrigger("reminders/wanted")])
    async def reminders(ctx: dq.Context) -> int:
        for day in range(ctx.event.data["days"]):
            await ctx.step.sleep("night", "1d")
            await ctx.step.run("remind", world.does, f"day {day}", day)
        return ctx.event.data["days"]

    @app.function("flaky", triggers=[dq.EventTrigger("flaky/wanted")], backoff=dq.Backoff.fixed("10m"), retries=3)
    async def flaky(ctx: dq.Context) -> str:
        def ask(attempt: int) -> str:
            world.does(f"ask {attempt}")
            if attempt < ctx.event.data["until"]:
                raise BankAway("no answer")
            return "answer"

        return await ctx.step.run("ask", lambda: ask(ctx.attempt))

    @app.function("stuck", triggers=[dq.EventTrigger("stuck/wanted")])
    async def stuck(ctx: dq.Context) -> None:
        await ctx.step.run("wait-for-ever", asyncio.Event().wait)

    return app
