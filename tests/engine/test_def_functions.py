"""`def` functions: the same engine behind steps that block, in threads that are left by an interrupt."""

from __future__ import annotations

import asyncio
import contextvars
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from durableq.engine.environment import Environment
from durableq.engine.interrupts import RunInterrupt
from durableq.model.backoff import Backoff
from durableq.model.outcome import AttemptFailed, Completed, Failed, Suspended
from durableq.words.errors import NonRetriableError, StepError
from tests.engine.virtual import START_S, run_virtual
from tests.engine.world import World


def test_steps_block_and_answer() -> None:
    async def fetch(number: int) -> int:
        await asyncio.sleep(0)
        return number + 1

    executed = []

    def load(number: int) -> int:
        executed.append(number)
        return number * 2

    def function(ctx: Any) -> Any:
        first = ctx.step.run("load", load, 1)
        ctx.step.sleep("nap", "1h")
        ctx.step.sleep_until("past", 0)
        return [first, ctx.step.run("fetch", fetch, 1)]

    world = World(function)
    assert world.finish() == [2, 2]
    assert executed == [1]
    assert world.executions == 2


def test_plain_bodies_run_in_the_functions_own_thread_with_its_context_variables() -> None:
    variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable", default="unset")

    def function(ctx: Any) -> Any:
        own = threading.get_ident()
        variable.set("set")
        return ctx.step.run("x", lambda: [threading.get_ident() == own, variable.get()])

    assert World(function).finish() == [True, "set"]


def test_plain_bodies_of_async_functions_run_in_a_pool_with_the_callers_context_variables() -> None:
    variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable", default="unset")

    async def function(ctx: Any) -> Any:
        own = threading.get_ident()
        variable.set("set")
        return await ctx.step.run("x", lambda: [threading.get_ident() == own, variable.get()])

    assert World(function).finish() == [False, "set"]


def test_async_bodies_run_on_the_loop() -> None:
    async def body() -> bool:
        return threading.current_thread() is threading.main_thread()

    def function(ctx: Any) -> Any:
        return ctx.step.run("x", body)

    assert World(function).finish() is True


def test_a_failed_step_is_retried_and_then_raised() -> None:
    tried = []

    def body() -> None:
        tried.append(1)
        raise KeyError("gone")

    def function(ctx: Any) -> str:
        try:
            ctx.step.options(retries=2).run("x", body)
        except StepError as error:
            return error.name
        return ""

    world = World(function)
    assert world.finish() == "KeyError"
    assert len(tried) == 3


def test_an_error_between_steps_is_retried_as_a_whole() -> None:
    def function(ctx: Any) -> int:
        if ctx.attempt == 0:
            raise ValueError
        return int(ctx.attempt)

    world = World(function)
    assert world.finish() == 1
    assert isinstance(world.outcomes[0], AttemptFailed)


def test_leaving_the_process_is_an_error_of_that_attempt() -> None:
    def leave() -> None:
        raise SystemExit(2)

    def function(ctx: Any) -> str:
        with pytest.raises(StepError, match="SystemExit"):
            ctx.step.options(retries=0).run("x", leave)
        raise SystemExit(3)

    world = World(function, retries=0)
    assert isinstance(world.finish(), Failed)
    assert world.failure.name == "SystemExit"


def test_a_step_inside_a_step_is_refused() -> None:
    def function(ctx: Any) -> None:
        ctx.step.run("outer", lambda: ctx.step.run("inner", lambda: 1))

    world = World(function)
    assert isinstance(world.finish(), Failed)
    assert world.failure.name == "NestedStep"
    assert world.executions == 1


def test_a_step_in_a_thread_of_the_users_own_is_refused() -> None:
    errors = []

    def function(ctx: Any) -> None:
        def other() -> None:
            try:
                ctx.step.run("x", lambda: 1)
            except Exception as error:
                errors.append(str(error))

        thread = threading.Thread(target=other)
        thread.start()
        thread.join()

    World(function).finish()
    assert "use ctx.parallel" in errors[0]


class TestParallel:
    def test_branches_run_beside_each_other_and_return_in_their_order(self) -> None:
        together = threading.Barrier(3, timeout=5)

        def branch(ctx: Any, i: int) -> Any:
            def body() -> int:
                together.wait()
                return i

            return lambda: ctx.step.run(f"b{i}", body)

        def function(ctx: Any) -> Any:
            return ctx.parallel(*[branch(ctx, i) for i in range(3)])

        assert World(function).finish() == (0, 1, 2)

    def test_branches_that_wait_suspend_together(self) -> None:
        def function(ctx: Any) -> Any:
            def branch(i: int) -> Any:
                def run() -> str:
                    ctx.step.sleep(f"nap {i}", 60 * (i + 1))
                    return f"{i} at {ctx.now().timestamp() - START_S:.0f}"

                return run

            return ctx.parallel(*map(branch, range(3)))

        world = World(function)
        assert world.finish() == ("0 at 60", "1 at 120", "2 at 180")

    def test_all_branches_end_before_the_first_error_is_raised(self) -> None:
        ended = []

        def function(ctx: Any) -> str:
            def bad(i: int) -> Any:
                def body() -> None:
                    raise NonRetriableError(str(i))

                return lambda: ctx.step.run(f"bad {i}", body)

            def good() -> None:
                ctx.step.sleep("nap", 60)
                ended.append(1)

            try:
                ctx.parallel(good, bad(1), bad(2))
            except StepError as error:
                return error.message
            return ""

        assert World(function).finish() == "1"
        assert len(ended) == 1

    def test_none_is_an_empty_tuple(self) -> None:
        assert World(lambda ctx: list(ctx.parallel())).finish() == []

    def test_inside_a_body_is_refused(self) -> None:
        def function(ctx: Any) -> Any:
            return ctx.step.run("x", lambda: ctx.parallel(lambda: 1))

        world = World(function)
        world.finish()
        assert world.failure.name == "NestedStep"


class TestInterrupt:
    def test_except_exception_does_not_see_it_and_finally_runs(self) -> None:
        seen = []

        def function(ctx: Any) -> str:
            try:
                ctx.step.sleep("nap", 60)
            except Exception:
                seen.append("exception")
            finally:
                seen.append("finally")
                ctx.step.run("clean", lambda: seen.append("clean"))
            return "done"

        assert World(function).finish() == "done"
        assert seen == ["finally", "finally", "clean"]

    def test_a_function_that_swallows_it_fails_and_the_line_is_named(self) -> None:
        def function(ctx: Any) -> str:
            try:
                ctx.step.sleep("nap", 60)
            except:  # noqa: E722  (this line is named)
                return "swallowed"
            return "done"

        world = World(function)
        assert isinstance(world.finish(), Failed)
        line = next(
            number
            for number, text in enumerate(Path(__file__).read_text().splitlines(), 1)
            if "(this line is named)" in text
        )
        assert f"test_def_functions.py:{line} catches the interrupt" in world.failure.message
        assert world.executions == 1

    def test_so_does_one_whose_loop_swallows_it_again_and_again(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("durableq.engine.leaving.LEAVE_S", 0.3)
        over: list[int] = []

        def function(ctx: Any) -> str:
            while not over:
                try:
                    ctx.step.sleep("nap", 60)
                except BaseException:
                    continue
            return "done"

        async def main() -> Any:
            return await World(function).finish_on_loop()

        outcome = asyncio.run(main())
        over.append(1)
        assert isinstance(outcome, Failed)
        assert "catches the interrupt" in outcome.failure.message

    def test_catching_it_by_name_and_raising_it_again_is_fine(self) -> None:
        def function(ctx: Any) -> str:
            try:
                ctx.step.sleep("nap", 60)
            except RunInterrupt:
                raise
            return "done"

        assert World(function).finish() == "done"

    def test_news_at_the_suspension_have_the_function_called_again_in_the_same_turn(self) -> None:
        calls = []

        def function(ctx: Any) -> str:
            calls.append(1)
            ctx.step.sleep("nap", "1h")
            return "woken"

        world = World(function)
        assert world.one_turn() == Suspended()

        async def main() -> Any:
            def scheduler() -> None:
                for key in list(world.waits):
                    world.waits[key] = 0
                world.fire_due()

            world.before_suspend = scheduler
            return await world.turn()

        assert isinstance(run_virtual(main()), Completed)
        assert len(calls) == 3
        assert world.executions == 2


class TestTimeouts:
    def test_code_between_steps_that_does_not_end_is_left_behind_and_counted(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("durableq.engine.leaving.LEAVE_S", 0.05)
        monkeypatch.setattr("durableq.engine.lingering.FOREIGN_S", 0.05)
        monkeypatch.setattr("durableq.engine.settle.THREADS_S", 0.05)
        release = threading.Event()
        environment = Environment()

        def function(ctx: Any) -> Any:
            return ctx.parallel(lambda: ctx.step.sleep("nap", "1h"), lambda: release.wait(5))

        async def main() -> None:
            assert await World(function, environment=environment).turn() == Suspended()
            assert environment.abandoned.count == 1
            release.set()
            while environment.abandoned.count:
                await asyncio.sleep(0.001)

        asyncio.run(main())

    def test_a_plain_body_over_its_timeout_fails_and_its_thread_is_counted(self) -> None:
        release = threading.Event()
        environment = Environment()

        async def function(ctx: Any) -> str:
            try:
                await ctx.step.options(timeout="20ms", retries=0).run("slow", lambda: release.wait(5))
            except StepError as error:
                return error.name
            return ""

        async def main() -> Any:
            return await World(function, environment=environment).finish_on_loop()

        assert asyncio.run(main()) == "StepTimeout"
        assert environment.abandoned.count == 1
        release.set()

    def test_the_next_attempt_waits_for_the_thread_of_the_last(self) -> None:
        release = threading.Event()
        started = []
        environment = Environment()

        def slow() -> str:
            started.append(time.monotonic())
            if len(started) == 1:
                release.wait(5)
            return "done"

        async def function(ctx: Any) -> Any:
            options = ctx.step.options(timeout="20ms", retries=1, backoff=Backoff.fixed("10ms", jitter=0))
            return await options.run("slow", slow)

        world = World(function, environment=environment)

        async def main() -> Any:
            assert await world.turn() == Suspended()
            await asyncio.sleep(0.02)
            world.fire_due()
            assert await world.turn() == Suspended()
            assert len(started) == 1
            release.set()
            while environment.abandoned.count:
                await asyncio.sleep(0.001)
            for key in world.waits:
                world.waits[key] = 0
            world.fire_due()
            return await world.turn()

        assert isinstance(asyncio.run(main()), Completed)
        assert len(started) == 2

    def test_a_def_function_whose_thread_is_stuck_goes_on_in_another(self) -> None:
        release = threading.Event()
        threads = []

        def function(ctx: Any) -> str:
            threads.append(threading.get_ident())
            try:
                ctx.step.options(timeout="20ms", retries=0).run("slow", lambda: release.wait(5))
            except StepError as error:
                return error.name
            return ""

        async def main() -> Any:
            return await World(function).finish_on_loop()

        assert asyncio.run(main()) == "StepTimeout"
        assert len(set(threads)) == 2
        release.set()


def test_a_def_function_that_returns_a_coroutine_is_told_to_be_async() -> None:
    async def inner(ctx: Any) -> None: ...

    def wrapper(ctx: Any) -> Any:
        return inner(ctx)

    world = World(wrapper)
    assert isinstance(world.finish(), Failed)
    assert world.failure.name == "ConfigError"
    assert world.failure.message == "the function returned a coroutine: make the wrapper `async def`"
