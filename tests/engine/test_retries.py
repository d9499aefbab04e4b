"""A failed step is tried again by itself; when its attempts are used up its error is recorded and raised where it is called."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from durableq.model.backoff import Backoff
from durableq.model.memo import MemoKind
from durableq.model.outcome import AttemptFailed, Failed, Suspended
from durableq.words.errors import NonRetriableError, RetryAfterError, StepError, StepTimeout
from tests.engine.virtual import run_virtual
from tests.engine.world import World


class Declined(Exception):
    pass


class CardDeclined(Declined):
    pass


def failing(times: int, error: Exception) -> Any:
    left = [times]

    async def body() -> str:
        if left[0]:
            left[0] -= 1
            raise error
        return "done"

    return body


def test_a_failed_step_alone_suspends_the_run_with_its_delay() -> None:
    body = failing(2, ValueError("no"))
    attempts = []

    async def function(ctx: Any) -> str:
        async def counted() -> Any:
            attempts.append(ctx.attempt)
            return await body()

        return str(await ctx.step.run("x", counted))

    world = World(function)
    assert world.finish() == "done"
    assert attempts == [0, 1, 2]
    assert [call[0] for call in world.calls] == ["suspend", "suspend", "record"]
    assert [(note.attempt, note.error) for note in world.notes] == [(0, "ValueError"), (1, "ValueError"), (2, "")]


def test_each_branch_has_its_own_counter_and_retries_in_hand() -> None:
    async def function(ctx: Any) -> Any:
        async def slow() -> str:
            await asyncio.sleep(60)
            return "slow"

        return await asyncio.gather(
            ctx.step.run("a", failing(4, ValueError())),
            ctx.step.run("b", failing(1, ValueError())),
            ctx.step.run("c", slow),
        )

    world = World(function)
    assert world.finish() == ["done", "done", "slow"]
    assert world.executions == 1
    assert [call[0] for call in world.calls].count("wait") == 5


def test_used_up_attempts_raise_the_recorded_error_where_the_step_is_called() -> None:
    caught = []

    async def body() -> None:
        raise CardDeclined("no money")

    async def function(ctx: Any) -> str:
        try:
            await ctx.step.options(retries=1).run("pay", body)
        except StepError as error:
            caught.append(error)
        await ctx.step.sleep("nap", 5)
        return "compensated"

    world = World(function)
    assert world.finish() == "compensated"
    assert len(caught) == 2
    for error in caught:
        assert (error.name, error.message, error.step) == ("CardDeclined", "no money", "pay")
        assert error.matches(Declined)
        assert not error.matches(KeyError)
        assert "raise CardDeclined" in error.stack
    assert caught[0].__cause__ is None
    assert world.memo("pay").kind is MemoKind.ERROR


def test_non_retriable_ends_a_step_at_once_and_can_be_caught() -> None:
    async def function(ctx: Any) -> str:
        try:
            await ctx.step.run("x", failing(1, NonRetriableError("gone")))
        except StepError as error:
            return error.name
        return ""

    world = World(function)
    assert world.finish() == "NonRetriableError"
    assert world.executions == 1


def test_an_uncaught_step_error_fails_the_run_without_retries() -> None:
    async def function(ctx: Any) -> None:
        await ctx.step.options(retries=0).run("x", failing(1, Declined("no")))

    world = World(function)
    assert isinstance(world.finish(), Failed)
    assert world.executions == 1
    assert (world.failure.name, world.failure.message) == ("Declined", "no")


def test_so_does_one_that_leaves_a_task_group() -> None:
    async def function(ctx: Any) -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(ctx.step.options(retries=0).run("x", failing(1, Declined("no"))))

    world = World(function)
    assert isinstance(world.finish(), Failed)
    assert world.executions == 1


def test_an_error_outside_steps_is_retried_as_a_whole_and_recorded_steps_stay() -> None:
    executed, attempts = [], []

    async def body() -> None:
        executed.append(1)

    async def function(ctx: Any) -> int:
        attempts.append(ctx.attempt)
        await ctx.step.run("x", body)
        if ctx.attempt < 2:
            raise ValueError("between steps")
        return int(ctx.attempt)

    world = World(function)
    assert world.finish() == 2
    assert attempts == [0, 1, 2]
    assert len(executed) == 1
    assert [type(outcome) for outcome in world.outcomes[:2]] == [AttemptFailed, AttemptFailed]
    assert world.outcomes[0].delay_ms == 10_000  # type: ignore[union-attr]


def test_the_function_fails_when_its_own_attempts_are_used_up() -> None:
    async def function(ctx: Any) -> None:
        raise ValueError(ctx.attempt)

    world = World(function, retries=2)
    assert isinstance(world.finish(), Failed)
    assert world.failure.message == "2"


def test_non_retriable_outside_steps_ends_the_run() -> None:
    async def function(ctx: Any) -> None:
        raise NonRetriableError("never paid")

    world = World(function)
    assert isinstance(world.finish(), Failed)
    assert world.executions == 1


def test_retry_after_sets_the_next_time_of_a_step_and_of_the_function() -> None:
    body = failing(1, RetryAfterError("later", "42s"))

    async def function(ctx: Any) -> str:
        await ctx.step.run("x", body)
        if ctx.attempt == 0:
            raise RetryAfterError("later still", 17)
        return "done"

    world = World(function)

    async def main() -> None:
        begun_ms = world.now_ms()
        assert isinstance(await world.turn(), Suspended)
        assert list(world.waits.values()) == [begun_ms + 42_000]

    run_virtual(main())
    assert world.finish() == "done"
    assert [o.delay_ms for o in world.outcomes if isinstance(o, AttemptFailed)] == [17_000]


def test_a_delay_of_nothing_is_retried_in_hand() -> None:
    async def function(ctx: Any) -> Any:
        return await ctx.step.options(backoff=Backoff.fixed(0, jitter=0)).run("x", failing(2, ValueError()))

    world = World(function)
    assert world.finish() == "done"
    assert world.executions == 1
    assert [call[0] for call in world.calls] == ["wait", "wait", "record"]


def test_a_step_over_its_timeout_fails_with_step_timeout_and_is_retried() -> None:
    tried = []

    async def body() -> None:
        tried.append(1)
        await asyncio.sleep(60)

    async def function(ctx: Any) -> str:
        try:
            await ctx.step.options(timeout="2s", retries=1).run("slow", body)
        except StepError as error:
            return f"{error.message} {error.matches(StepTimeout)} {error.matches(TimeoutError)}"
        return ""

    assert World(function).finish() == "step 'slow' ran longer than its timeout of 2s True True"
    assert len(tried) == 2


def test_a_bodys_own_timeout_error_is_its_own() -> None:
    async def body() -> None:
        async with asyncio.timeout(1):
            await asyncio.sleep(60)

    async def function(ctx: Any) -> str:
        try:
            await ctx.step.options(timeout="20s", retries=0).run("slow", body)
        except StepError as error:
            return error.name
        return ""

    assert World(function).finish() == "TimeoutError"


@pytest.mark.parametrize("error", [SystemExit(3), KeyboardInterrupt()])
def test_leaving_the_process_from_a_body_is_an_error_of_that_attempt(error: BaseException) -> None:
    async def body() -> None:
        raise error

    async def function(ctx: Any) -> str:
        try:
            await ctx.step.options(retries=0).run("x", body)
        except StepError as raised:
            return raised.name
        return ""

    assert World(function).finish() == type(error).__name__


@pytest.mark.parametrize("error", [SystemExit(3), KeyboardInterrupt()])
def test_leaving_the_process_from_the_function_is_an_error_of_that_attempt(error: BaseException) -> None:
    async def leave() -> None:
        raise error

    async def function(ctx: Any) -> None:
        if ctx.attempt == 0:
            await leave()
        await asyncio.gather(leave())

    world = World(function, retries=1)
    assert isinstance(world.finish(), Failed)
    assert [outcome.failure.name for outcome in world.outcomes] == [type(error).__name__] * 2  # type: ignore[union-attr]


def test_a_cancellation_that_is_the_bodys_own_is_an_error_of_that_attempt() -> None:
    async def body() -> None:
        future = asyncio.get_running_loop().create_future()
        future.cancel()
        await future

    async def function(ctx: Any) -> str:
        try:
            await ctx.step.options(retries=0).run("x", body)
        except StepError as error:
            return error.name
        return ""

    assert World(function).finish() == "CancelledError"


def test_a_function_that_cannot_be_called_fails_like_any_other() -> None:
    async def function() -> None: ...

    world = World(function, retries=0)
    assert isinstance(world.finish(), Failed)
    assert world.failure.name == "TypeError"


def test_each_failed_attempt_is_said_once() -> None:
    body = failing(1, ValueError("why"))

    async def function(ctx: Any) -> Any:
        return await ctx.step.run("x", body)

    world = World(function)
    world.finish()
    [line] = [fields for _, event, fields in world.log.lines if event == "step failed"]
    assert (line["step"], line["attempt"], line["error"], line["retry_in"]) == ("x", 0, "ValueError: why", "10s")


@pytest.mark.parametrize("plain", [False, True])
def test_a_body_that_raises_generator_exit_has_failed_like_any_other(plain: bool) -> None:
    tried = []

    def body() -> str:
        tried.append(1)
        if len(tried) == 1:
            raise GeneratorExit
        return "done"

    async def async_body() -> str:
        return body()

    async def function(ctx: Any) -> Any:
        return await ctx.step.run("x", body if plain else async_body)

    world = World(function)
    assert world.finish() == "done"
    assert len(tried) == 2
    assert Suspended() in world.outcomes


def test_a_step_whose_coroutine_is_closed_is_withdrawn() -> None:
    async def slow() -> None:
        await asyncio.get_running_loop().create_future()

    async def function(ctx: Any) -> str:
        step = ctx.step.run("x", slow)
        await asyncio.sleep(0)
        step.send(None)
        step.close()
        await ctx.step.sleep("nap", 60)
        return "done"

    world = World(function)
    assert world.finish() == "done"
    assert world.memo("x").kind is MemoKind.ABANDONED
