"""Steps are executed once, recorded once, and answered from the record ever after."""

from __future__ import annotations

import asyncio
import enum
from dataclasses import InitVar, dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from durableq.engine.environment import Environment
from durableq.model.event import Event
from durableq.model.limits import Limits
from durableq.model.memo import MemoKind
from durableq.model.outcome import Completed, Failed, Suspended
from durableq.words.errors import ConfigError, LimitExceeded, NestedStep, StepError
from tests.engine.world import World


@dataclass
class Order:
    id: int


class Colour(enum.Enum):
    RED = "red"


def test_a_recorded_step_is_never_executed_again() -> None:
    executed = []

    async def load(number: int) -> int:
        executed.append(number)
        return number * 2

    async def function(ctx: Any) -> list[int]:
        first = await ctx.step.run("load", load, 1)
        await ctx.step.sleep("nap", "1h")
        return [first, await ctx.step.run("load again", load, number=2)]

    world = World(function)
    assert world.finish() == [2, 4]
    assert executed == [1, 2]


def test_an_id_used_again_is_another_step_each_time() -> None:
    async def give(number: int) -> int:
        return number

    async def function(ctx: Any) -> list[int]:
        numbers = [await ctx.step.run("loop", give, i) for i in range(3)]
        await ctx.step.sleep("nap", 60)
        return numbers

    world = World(function)
    assert world.finish() == [0, 1, 2]
    assert [world.memo("loop", i).number for i in range(3)] == [1, 2, 3]


def test_what_a_step_returns_the_first_time_is_what_replay_returns() -> None:
    values = []

    async def body() -> dict[str, Any]:
        return {"when": datetime(2027, 1, 1, tzinfo=UTC), "pair": (1, 2)}

    async def function(ctx: Any) -> None:
        values.append(await ctx.step.run("a", body))
        await ctx.step.sleep("nap", 1)

    World(function).finish()
    assert values[0] == values[1] == {"when": datetime(2027, 1, 1, tzinfo=UTC), "pair": (1, 2)}


def test_an_annotated_result_comes_back_as_its_type() -> None:
    async def load() -> Order:
        return Order(7)

    async def raw() -> Any:
        return Colour.RED

    seen = []

    async def function(ctx: Any) -> Order:
        seen.append(await ctx.step.run("load", load))
        seen.append(await ctx.step.options(output_type=Colour).run("raw", raw))
        await ctx.step.sleep("nap", 1)
        return Order(8)

    assert World(function).finish() == {"id": 8}
    assert seen == [Order(7), Colour.RED] * 2


def test_what_cannot_be_stored_fails_the_step_at_once() -> None:
    executed = []

    async def body() -> Any:
        executed.append(1)
        return object()

    async def function(ctx: Any) -> str:
        try:
            await ctx.step.run("bad", body)
        except StepError as error:
            return f"{error.name} {error.message}"
        return "stored"

    result = World(function).finish()
    assert result.startswith("CodecError")
    assert "step 'bad'" in result
    assert len(executed) == 1


def test_arguments_after_the_callable_are_its_own() -> None:
    async def body(id: str, timeout: int, fn: str) -> str:
        return f"{id} {timeout} {fn}"

    async def function(ctx: Any) -> str:
        result: str = await ctx.step.run("x", body, id="a", timeout=5, fn="c")
        return result

    assert World(function).finish() == "a 5 c"


def test_a_lambda_that_gives_a_coroutine_is_awaited() -> None:
    async def fetch(number: int) -> int:
        await asyncio.sleep(0)
        return number

    async def function(ctx: Any) -> Any:
        return await ctx.step.run("x", lambda: fetch(3))

    assert World(function).finish() == 3


def test_a_step_inside_a_step_is_refused_and_not_tried_again() -> None:
    tried = []

    async def inner() -> None: ...

    async def function(ctx: Any) -> None:
        async def outer() -> None:
            tried.append(1)
            await ctx.step.run("inner", inner)

        await ctx.step.run("outer", outer)

    world = World(function)
    assert isinstance(world.finish(), Failed)
    assert len(tried) == 1
    assert world.failure.classes[0].endswith(NestedStep.__name__)
    assert "'inner' is called inside step 'outer'" in world.failure.message


def test_a_step_in_a_task_of_a_body_is_nested_too() -> None:
    async def inner() -> None: ...

    async def function(ctx: Any) -> None:
        async def outer() -> None:
            await asyncio.gather(ctx.step.run("inner", inner))

        await ctx.step.run("outer", outer)

    world = World(function)
    world.finish()
    assert world.failure.name == "NestedStep"


@pytest.mark.parametrize("bad", ["", "x" * 257, 7, None, "\ud800"])
def test_a_bad_step_id_fails_the_run_for_good(bad: Any) -> None:
    async def body() -> None: ...

    async def function(ctx: Any) -> None:
        await ctx.step.run(bad, body)

    world = World(function)
    assert isinstance(world.finish(), Failed)
    assert world.failure.name == "ConfigError"


@pytest.mark.parametrize("bad", ["soon", -1, "367d", float("nan")])
def test_a_bad_duration_fails_the_run_for_good(bad: Any) -> None:
    async def function(ctx: Any) -> None:
        await ctx.step.sleep("nap", bad)

    world = World(function)
    assert isinstance(world.finish(), Failed)
    assert world.failure.name == "ConfigError"
    assert "nap" in world.failure.message


def test_a_step_recorded_as_another_kind_is_refused_by_name() -> None:
    version = [1]

    async def body() -> None: ...

    async def function(ctx: Any) -> None:
        if version[0] == 1:
            await ctx.step.sleep("x", 60)
        else:
            await ctx.step.run("x", body)

    world = World(function)

    async def deploy_meanwhile() -> Any:
        assert isinstance(await world.turn(), Suspended)
        version[0] = 2
        return await world.turn()

    from tests.engine.virtual import run_virtual

    assert isinstance(run_virtual(deploy_meanwhile()), Failed)
    assert "step 'x' is a run now and was recorded as a sleep" in world.failure.message


def test_sleeping_until_a_past_time_is_no_wait_and_one_write() -> None:
    async def function(ctx: Any) -> str:
        await ctx.step.sleep_until("past", datetime(1970, 1, 1, tzinfo=UTC))
        await ctx.step.sleep("none", 0)
        return "there"

    world = World(function)
    assert isinstance(world.one_turn(), Completed)
    assert [call[0] for call in world.calls] == ["record", "record"]
    assert world.memo("past").kind is MemoKind.WOKEN


def test_sleeping_until_a_time_ends_then_and_not_before() -> None:
    async def function(ctx: Any) -> datetime:
        await ctx.step.sleep_until("until", ctx.now() + timedelta(hours=2))
        now: datetime = ctx.now()
        return now

    world = World(function)
    end = world.finish()
    assert end >= datetime.fromtimestamp(1_000_000 + 7200, UTC)


class TestSendEvent:
    def test_ids_stay_the_same_over_attempts(self) -> None:
        batches = []

        async def send(events: Any, _limits: Limits) -> list[str]:
            batches.append([event.id for event in events])
            if len(batches) == 1:
                raise ConnectionError
            return batches[-1]

        async def function(ctx: Any) -> list[str]:
            ids: list[str] = await ctx.step.send_event("tell", [Event("a/b", {}), Event("a/c", {}, id="mine")])
            return ids

        world = World(function, environment=Environment(send=send))
        result = world.finish()
        assert batches[0] == batches[1] == result
        assert result[1] == "mine"
        assert world.execution is not None
        assert result[0].startswith(world.execution.claimed.run_id)

    def test_one_event_needs_no_list(self) -> None:
        async def send(events: Any, _limits: Limits) -> list[str]:
            return [event.name for event in events]

        async def function(ctx: Any) -> Any:
            return await ctx.step.send_event("tell", Event("a/b", {}))

        assert World(function, environment=Environment(send=send)).finish() == ["a/b"]

    def test_what_is_no_event_is_refused_for_good(self) -> None:
        async def function(ctx: Any) -> Any:
            return await ctx.step.send_event("tell", ["a/b"])

        world = World(function)
        assert isinstance(world.finish(), Failed)
        assert "send_event takes an Event" in world.failure.message


class TestLimits:
    def test_too_many_steps_fail_the_run_with_both_figures(self) -> None:
        async def body() -> None: ...

        async def function(ctx: Any) -> None:
            for i in range(4):
                await ctx.step.run(f"s{i}", body)

        world = World(function, limits=Limits(steps_per_run=3))
        assert isinstance(world.finish(), Failed)
        assert world.failure.name == LimitExceeded.__name__
        assert "step 's3': the run has 4 steps and may have 3" in world.failure.message

    def test_recorded_steps_count(self) -> None:
        async def body() -> None: ...

        async def function(ctx: Any) -> None:
            await ctx.step.run("a", body)
            await ctx.step.sleep("b", 60)
            await ctx.step.run("c", body)

        assert World(function, limits=Limits(steps_per_run=3)).finish() is None
        assert isinstance(World(function, limits=Limits(steps_per_run=2)).finish(), Failed)

    def test_a_result_that_is_too_large_fails_the_step_with_both_figures(self) -> None:
        async def body() -> bytes:
            return bytes(1000)

        async def function(ctx: Any) -> str:
            try:
                await ctx.step.run("big", body)
            except StepError as error:
                return error.message
            return ""

        message = World(function, limits=Limits(step_result_bytes=500)).finish()
        assert "step 'big' has 1,004 bytes and may have 500" in message

    def test_a_run_that_grows_too_large_fails_the_step(self) -> None:
        async def body() -> bytes:
            return bytes(400)

        async def function(ctx: Any) -> Any:
            for i in range(3):
                await ctx.step.run(f"s{i}", body)

        world = World(function, limits=Limits(run_bytes=1000, step_result_bytes=900, event_bytes=500))
        assert isinstance(world.finish(), Failed)
        assert "with the result of step 's2'" in world.failure.message


class TestOptions:
    @pytest.mark.parametrize(
        "options",
        [{"retries": 21}, {"retries": -1}, {"timeout": 0}, {"timeout": "soon"}, {"backoff": 3}, {"output_type": 3}],
    )
    def test_a_bad_option_fails_the_run_for_good(self, options: Any) -> None:
        async def body() -> None: ...

        async def function(ctx: Any) -> None:
            await ctx.step.options(**options).run("x", body)

        world = World(function)
        assert isinstance(world.finish(), Failed)
        assert world.failure.name in (ConfigError.__name__, "StepError")

    def test_a_verb_that_has_no_use_for_an_option_refuses_it(self) -> None:
        async def function(ctx: Any) -> None:
            await ctx.step.options(retries=1, timeout=3).sleep("nap", 3)

        world = World(function)
        world.finish()
        assert "step.sleep has no use for the option retries, timeout" in world.failure.message


def test_a_forgotten_await_is_named() -> None:
    async def body() -> None: ...

    async def function(ctx: Any) -> None:
        ctx.step.run("forgotten", body)
        await ctx.step.run("kept", body)

    world = World(function)
    world.finish()
    assert [fields["step"] for _, event, fields in world.log.lines if event == "step never awaited"] == ["forgotten"]


@pytest.mark.parametrize("blocking", [False, True])
def test_a_call_in_place_of_a_callable_is_refused_at_once(blocking: bool) -> None:
    async def fetch() -> None: ...

    async def function(ctx: Any) -> None:
        await ctx.step.run("x", fetch())

    def plain(ctx: Any) -> None:
        ctx.step.run("x", fetch())

    world = World(plain if blocking else function)
    assert isinstance(world.finish(), Failed)
    assert world.failure.name == "ConfigError"
    assert "step 'x' was given <coroutine object" in world.failure.message
    assert "pass the function and its arguments, not its call" in world.failure.message
    assert world.calls == []


def test_data_whose_class_exits_fails_the_run_and_not_the_worker() -> None:
    @dataclass
    class Exiting:
        order_id: int

        def __post_init__(self) -> None:
            raise SystemExit(3)

    async def function(ctx: Any) -> None: ...

    world = World(function, event_type=Exiting)
    assert isinstance(world.finish(), Failed)
    assert world.failure.name == "SystemExit"


def test_a_result_whose_class_exits_fails_its_step() -> None:
    @dataclass
    class Exiting:
        order_id: int
        given: InitVar[bool] = False

        def __post_init__(self, given: bool) -> None:
            if not given:
                raise SystemExit(3)

    async def body() -> Any:
        return Exiting(7, given=True)

    async def function(ctx: Any) -> Any:
        await ctx.step.options(output_type=Exiting, retries=0).run("x", body)

    world = World(function)
    assert isinstance(world.finish(), Failed)
    assert world.memo("x").kind is MemoKind.ERROR
    assert world.failure.name == "SystemExit"


def test_events_are_sent_within_the_limits_of_the_function() -> None:
    seen = []

    async def send(events: Any, limits: Limits) -> list[str]:
        seen.append(limits)
        return [event.id for event in events]

    async def function(ctx: Any) -> None:
        await ctx.step.send_event("tell", Event("a/b", {}))

    limits = Limits(steps_per_run=3)
    World(function, environment=Environment(send=send), limits=limits).finish()
    assert seen == [limits]
