"""What `ctx` answers: the same on every replay, and for whoever asks."""

from __future__ import annotations

import asyncio
from contextvars import copy_context
from dataclasses import dataclass
from datetime import UTC, datetime
from threading import Thread
from typing import Any

import pytest

from durableq.model.event import Event
from durableq.model.outcome import AttemptFailed, Failed, Suspended
from tests.engine.virtual import run_virtual
from tests.engine.world import RUN_ID, World


async def nothing() -> None: ...


@dataclass
class Order:
    order_id: int
    total: float = 0.0


class TestNow:
    def test_begins_with_the_runs_creation_and_follows_the_memos(self) -> None:
        async def slow() -> None:
            await asyncio.sleep(5)

        async def function(ctx: Any) -> list[float]:
            times = [ctx.now()]
            await ctx.step.run("slow", slow)
            times.append(ctx.now())
            await ctx.step.sleep("nap", 60)
            times.append(ctx.now())
            seen.append(times)
            return [(time - times[0]).total_seconds() for time in times]

        seen: list[Any] = []
        assert World(function).finish() == [0.0, 5.0, pytest.approx(65, abs=0.1)]
        assert seen[0][0] == datetime.fromtimestamp(1_000_000, UTC)


class TestChance:
    def test_is_the_same_on_every_replay(self) -> None:
        drawn = []

        async def function(ctx: Any) -> None:
            numbers = [ctx.random.random(), ctx.uuid4()]
            await ctx.step.sleep("nap", 60)
            drawn.append([*numbers, ctx.random.randint(0, 10**9), ctx.uuid4()])
            await ctx.step.sleep("nap 2", 60)

        World(function).finish()
        assert drawn[0] == drawn[1]
        assert len(set(map(str, drawn[0]))) == 4
        assert drawn[0][1].version == 4

    def test_of_a_body_is_its_attempts_own_and_leaves_the_functions_alone(self) -> None:
        drawn: list[Any] = []

        async def function(ctx: Any) -> None:
            async def body() -> None:
                drawn.append(("body", ctx.attempt, ctx.random.random()))
                if ctx.attempt == 0:
                    raise ValueError

            await ctx.step.run("x", body)
            drawn.append(("function", ctx.random.random()))
            await ctx.step.sleep("nap", 60)
            drawn.append(("function", ctx.random.random()))

        world = World(function)
        world.finish()
        bodies = [number for who, *_, number in drawn if who == "body"]
        assert len(set(bodies)) == 2
        first, again, second = [number for who, *_, number in drawn if who == "function"]
        assert first == again != second


class TestAttempt:
    def test_answers_for_the_body_that_asks(self) -> None:
        seen = []

        async def function(ctx: Any) -> Any:
            async def body() -> None:
                seen.append(("step", ctx.attempt))
                variables = copy_context()
                thread = Thread(target=lambda: variables.run(lambda: seen.append(("thread", ctx.attempt))))
                thread.start()
                thread.join()
                if ctx.attempt == 0:
                    raise ValueError

            await ctx.step.run("x", body)
            seen.append(("function", ctx.attempt))
            if ctx.attempt == 0:
                raise ValueError

        world = World(function)
        world.finish()
        assert seen == [("step", 0), ("thread", 0), ("step", 1), ("thread", 1), ("function", 0), ("function", 1)]
        assert any(isinstance(outcome, AttemptFailed) for outcome in world.outcomes)


class TestLogger:
    def test_a_line_appears_once_per_attempt(self) -> None:
        tries = []

        async def function(ctx: Any) -> None:
            log = ctx.logger.bind(extra=1)
            log.info("start")

            async def flaky() -> None:
                ctx.logger.info("in the body")
                tries.append(1)
                if len(tries) == 1:
                    raise ValueError

            await ctx.step.run("flaky", flaky)
            log.info("after the step")
            await ctx.step.sleep("nap", 60)
            log.info("after the nap")
            if ctx.attempt == 0:
                raise ValueError
            log.info("end")

        world = World(function)
        world.finish()
        assert world.log.events("info") == [
            "start",
            "in the body",
            "in the body",
            "after the step",
            "after the nap",
            "after the nap",
            "end",
        ]
        fields = [fields for level, _, fields in world.log.lines if level == "info"]
        assert fields[0] == {"app": "shop", "function": "f", "run": RUN_ID, "attempt": 0, "extra": 1}
        assert fields[2] == {"app": "shop", "function": "f", "run": RUN_ID, "attempt": 1, "step": "flaky"}

    def test_it_has_the_levels_of_structlog(self) -> None:
        async def function(ctx: Any) -> None:
            for level in ("debug", "info", "warning", "error", "exception", "critical"):
                getattr(ctx.logger.unbind("attempt"), level)("line", x=1)
            ctx.logger.log(20, "line")

        world = World(function)
        world.finish()
        assert len(world.log.lines) == 7
        assert all("attempt" not in fields for _, event, fields in world.log.lines[:6])


class TestEvents:
    def test_a_typed_payload_is_of_its_type(self) -> None:
        async def function(ctx: Any) -> Any:
            return [ctx.event.name, ctx.event.data.order_id, type(ctx.event.data).__name__, len(ctx.events), ctx.run_id]

        world = World(function, event_type=Order, event=Event("order/created", {"order_id": 3, "total": 1.5}))
        assert world.finish() == ["order/created", 3, "Order", 1, RUN_ID]

    def test_a_payload_of_another_shape_fails_the_run_and_names_the_field(self) -> None:
        called = []

        async def function(ctx: Any) -> None:
            called.append(1)

        world = World(function, event_type=Order, event=Event("order/created", {"total": 1.5}))
        assert isinstance(world.finish(), Failed)
        assert "event.data" in world.failure.message
        assert "order_id" in world.failure.message
        assert called == []


class TestReordering:
    def test_is_warned_about_once_per_run(self) -> None:
        version = [1]

        async def function(ctx: Any) -> None:
            ids = ["a", "b", "c"] if version[0] == 1 else ["c", "b", "a"]
            for id in ids:
                await ctx.step.run(id, nothing)
            await ctx.step.sleep("nap", 60)
            await ctx.step.sleep("nap 2", 60)

        world = World(function)

        async def main() -> None:
            assert await world.turn() == Suspended()
            version[0] = 2
            await world.finish_on_loop()

        run_virtual(main())
        assert world.log.events("warning") == ["steps in another order"]

    def test_unchanged_code_is_never_warned_about(self) -> None:
        async def slow(i: int) -> None:
            await asyncio.sleep(5 - i)

        async def function(ctx: Any) -> None:
            await asyncio.gather(*[ctx.step.run(f"s{i}", slow, i) for i in range(5)])
            await ctx.step.sleep("nap", 60)

        world = World(function)
        world.finish()
        assert world.log.events() == []

    def test_a_removed_step_is_ignored(self) -> None:
        version = [1]

        async def function(ctx: Any) -> str:
            if version[0] == 1:
                await ctx.step.run("removed", nothing)
            await ctx.step.sleep("nap", 60)
            return "done"

        world = World(function)

        async def main() -> Any:
            assert await world.turn() == Suspended()
            version[0] = 2
            return await world.finish_on_loop()

        assert run_virtual(main()) == "done"
        assert world.log.events() == []
