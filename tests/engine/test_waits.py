"""`wait_for_event`: each event is had once, in order, and none is missed; event or timeout, never both."""

from __future__ import annotations

import asyncio
import threading
from dataclasses import dataclass
from typing import Any

import pytest

from durableq.engine import edge
from durableq.engine.port import EventWait, NotYet
from durableq.engine.settle import Settler
from durableq.model.backoff import Backoff
from durableq.model.event import Event
from durableq.model.limits import Limits
from durableq.model.memo import Memo, MemoKind
from durableq.model.outcome import AttemptFailed, Completed, Failed, Suspended
from durableq.words import codec
from durableq.words.errors import StepError
from durableq.words.ids import step_key
from tests.engine.outside import match_blob
from tests.engine.virtual import START_S, run_virtual
from tests.engine.world import StorePort, World
from tests.engine.written import beside, both, function_of

HOUR_MS = 3_600_000


def now_s() -> float:
    return asyncio.get_running_loop().time() - START_S


async def nothing() -> None: ...


def waits_once(ctx: Any, **options: Any) -> Any:
    event = yield ctx.step.wait_for_event("payment", "payment/settled", timeout="3d", **options)
    return None if event is None else [event.name, event.data, event.id]


@both
def test_the_whole_event_comes_back_also_in_a_replay(written: str) -> None:
    world = World(function_of(written, waits_once))
    world.plan = [(HOUR_MS, lambda: world.outside.arrive("payment/settled", {"order_id": 7}))]
    expected = ["payment/settled", {"order_id": 7}, "e0"]
    assert world.finish() == expected
    assert world.executions == 2
    assert world.finish() == expected


@both
def test_on_timeout_it_is_none_also_in_a_replay(written: str) -> None:
    world = World(function_of(written, waits_once))
    assert world.finish() is None
    assert world.memo("payment").kind is MemoKind.TIMED_OUT
    world.plan = [(0, lambda: world.outside.arrive("payment/settled"))]
    assert world.finish() is None


@both
def test_a_wait_alone_begins_with_a_call_of_its_own_and_suspends_once_that_is_confirmed(written: str) -> None:
    world = World(function_of(written, waits_once))
    assert world.one_turn() == Suspended()
    key = step_key("payment", 0)
    assert [call[:2] for call in world.calls] == [("await_event", key), ("suspend", [])]
    assert codec.decode(world.memos[key].blob) == {
        "op": "wait_for_event",
        "id": "payment",
        "due": int(START_S * 1000) + 3 * 24 * HOUR_MS,
        "event": "payment/settled",
        "if": None,
    }
    assert [(note.op, note.step_id) for note in world.notes] == [("wait_for_event", "payment")]


@both
def test_sleeps_beside_a_wait_begin_with_the_same_writes(written: str) -> None:
    def script(ctx: Any) -> Any:
        yield beside(
            ctx,
            lambda: ctx.step.sleep("nap", "1h"),
            lambda: ctx.step.wait_for_event("w", "a/b", timeout="2h"),
        )
        return "done"

    world = World(function_of(written, script))
    assert world.one_turn() == Suspended()
    assert sorted(call[0] for call in world.calls) == ["await_event", "suspend", "wait"]
    assert world.calls[-1] == ("suspend", [])
    assert world.finish() == "done"


@both
def test_an_event_that_came_before_the_function_reached_its_wait_is_not_missed(written: str) -> None:
    world = World(function_of(written, waits_once))
    world.plan = [(0, lambda: world.outside.arrive("payment/settled", {"early": True}))]

    def script(ctx: Any) -> Any:
        yield ctx.step.sleep("nap", "1h")
        return (yield from waits_once(ctx))

    world.function = World(function_of(written, script)).function
    assert world.finish() == ["payment/settled", {"early": True}, "e0"]
    assert [call[0] for call in world.calls].count("suspend") == 1


@both
def test_a_timeout_of_zero_only_looks_back(written: str) -> None:
    def script(ctx: Any) -> Any:
        had = yield ctx.step.wait_for_event("one", "a/b", timeout=0)
        none = yield ctx.step.wait_for_event("two", "a/b", timeout=0)
        return [had.data, none]

    world = World(function_of(written, script))
    world.outside.log.append(("5-0", Event("a/b", {"n": 1}, id="x")))
    assert world.finish() == [{"n": 1}, None]
    assert world.executions == 1


@both
def test_a_loop_of_waits_has_its_events_one_by_one_in_order(written: str) -> None:
    def script(ctx: Any) -> Any:
        seen = []
        while (event := (yield ctx.step.wait_for_event("next", "a/b", timeout="1h"))) is not None:
            seen.append(event.data["n"])
        return seen

    world = World(function_of(written, script), seed=1)
    for n in range(8):
        # Several at once, and some while the run is suspended.
        world.plan.append((n // 3 * 60_000 + n, lambda n=n: world.outside.arrive("a/b", {"n": n})))  # type: ignore[misc]
    assert world.finish() == list(range(8))
    behind = [wait for wait in world.outside.pending.values() if isinstance(wait, EventWait)]
    assert behind == []


@both
def test_the_condition_is_over_the_runs_event_and_the_arriving_one(written: str) -> None:
    def script(ctx: Any) -> Any:
        yield from ()
        return (yield from waits_once(ctx, if_="event.data.order_id == async.data.order_id"))

    world = World(function_of(written, script))
    world.plan = [
        (1, lambda: world.outside.arrive("payment/settled", {"order_id": 8})),
        (2, lambda: world.outside.arrive("payment/settled", {"order_id": 7})),
    ]
    assert world.finish() == ["payment/settled", {"order_id": 7}, "e1"]


@dataclass
class Settled:
    order_id: int


@both
def test_the_data_comes_as_output_type_says(written: str) -> None:
    def script(ctx: Any) -> Any:
        event = yield ctx.step.options(output_type=Settled).wait_for_event("w", "a/b", timeout="1h")
        return [type(event.data).__name__, event.data.order_id, event.name]

    world = World(function_of(written, script))
    world.plan = [(5, lambda: world.outside.arrive("a/b", {"order_id": 9}))]
    assert world.finish() == ["Settled", 9, "a/b"]


@both
def test_data_that_is_not_what_output_type_says_names_the_step_and_the_field(written: str) -> None:
    def script(ctx: Any) -> Any:
        yield ctx.step.options(output_type=Settled).wait_for_event("w", "a/b", timeout="1h")

    world = World(function_of(written, script))
    world.plan = [(5, lambda: world.outside.arrive("a/b", {"order": 9}))]
    outcome = world.finish()
    assert isinstance(outcome, Failed)
    assert outcome.failure.message.startswith("wait_for_event 'w': event.data")


@both
def test_now_is_when_the_event_was_matched(written: str) -> None:
    def script(ctx: Any) -> Any:
        yield ctx.step.wait_for_event("w", "a/b", timeout="1h")
        return ctx.now().timestamp()

    world = World(function_of(written, script))
    world.plan = [(90_000, lambda: world.outside.arrive("a/b"))]
    assert world.finish() == pytest.approx(START_S + 90, abs=0.01)


@both
def test_the_event_may_come_while_the_run_is_in_hand(written: str) -> None:
    async def slow() -> float:
        await asyncio.sleep(30)
        return now_s()

    def script(ctx: Any) -> Any:
        event, _ = yield beside(
            ctx,
            lambda: ctx.step.wait_for_event("w", "a/b", timeout="1h"),
            lambda: ctx.step.run("slow", slow),
        )
        return event.data

    world = World(function_of(written, script))
    world.plan = [(10_000, lambda: world.outside.arrive("a/b", {"n": 1}))]
    assert world.finish() == {"n": 1}
    assert world.executions == 1


@both
def test_the_time_may_be_over_while_the_run_is_in_hand(written: str) -> None:
    async def slow() -> str:
        await asyncio.sleep(30)
        return "slow"

    def script(ctx: Any) -> Any:
        both = yield beside(
            ctx,
            lambda: ctx.step.wait_for_event("w", "a/b", timeout=10),
            lambda: ctx.step.run("slow", slow),
        )
        return list(both)

    world = World(function_of(written, script))
    assert world.finish() == [None, "slow"]
    assert world.executions == 1
    assert ("fire", step_key("w", 0)) in world.calls


class EventFirst(StorePort):
    """Before a wait is fired the event comes; the holder hears of it by the reply alone, or before that."""

    told = True

    def fire(self, key: str) -> Any:
        self.dead = not self.told
        self.world.outside.arrive("a/b", {"won": True})
        self.dead = False
        return super().fire(key)


@pytest.mark.parametrize("told", [True, False])
@both
def test_an_event_that_comes_just_before_the_timeout_is_what_the_function_is_told(
    written: str, told: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    def script(ctx: Any) -> Any:
        event, _ = yield beside(
            ctx,
            lambda: ctx.step.wait_for_event("w", "a/b", timeout=10),
            lambda: ctx.step.run("slow", asyncio.sleep, 30),
        )
        return event and event.data

    monkeypatch.setattr(EventFirst, "told", told)
    monkeypatch.setattr("tests.engine.world.StorePort", EventFirst)
    world = World(function_of(written, script))
    assert world.finish() == {"won": True}
    assert world.memo("w").kind is MemoKind.MATCHED
    assert world.finish() == {"won": True}


def test_a_result_that_is_quicker_than_the_reply_that_the_wait_has_begun_is_told() -> None:
    class SlowReply(StorePort):
        def await_event(self, wait: EventWait) -> Any:
            reply = super().await_event(wait)
            reply_later = self.loop.create_future()
            reply.add_done_callback(lambda _: self.loop.call_later(5, reply_later.set_result, 0))
            self.loop.call_later(1, lambda: self.world.outside.arrive("a/b", {"n": now_s()}))
            return reply_later

    async def function(ctx: Any) -> Any:
        event = await ctx.step.wait_for_event("w", "a/b", timeout="1h")
        return [event.data["n"], now_s()]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("tests.engine.world.StorePort", SlowReply)
        world = World(function)
        arrived_s, told_s = world.finish()
        assert told_s == pytest.approx(arrived_s, abs=0.01)
        assert [call[0] for call in world.calls] == ["await_event"]
        assert world.finish()[0] == arrived_s


def test_a_run_is_not_suspended_before_the_store_has_confirmed_that_the_wait_has_begun() -> None:
    class NeverBegins(StorePort):
        def await_event(self, wait: EventWait) -> Any:
            return self.loop.create_future()

    async def function(ctx: Any) -> Any:
        await asyncio.gather(
            ctx.step.wait_for_event("w", "a/b", timeout="1h"),
            ctx.step.sleep("nap", "10s"),
        )

    async def main(world: World) -> None:
        turn = asyncio.ensure_future(world.turn())
        await asyncio.sleep(8)
        assert [call[0] for call in world.calls] == ["wait"]
        assert world.execution is not None
        world.execution.abandon()
        await turn

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("tests.engine.world.StorePort", NeverBegins)
        run_virtual(main(World(function)))


def test_the_stores_clock_may_move_the_end_of_a_wait() -> None:
    class Behind(StorePort):
        fired = 0

        def fire(self, key: str) -> Any:
            Behind.fired += 1
            if Behind.fired == 1:
                future = self.loop.create_future()
                future.set_result(NotYet(2_000))
                return future
            return super().fire(key)

    async def function(ctx: Any) -> Any:
        waited, _ = await asyncio.gather(
            ctx.step.wait_for_event("w", "a/b", timeout=10), ctx.step.run("slow", asyncio.sleep, 30)
        )
        return waited

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("tests.engine.world.StorePort", Behind)
        world = World(function)
        assert world.finish() is None
    assert world.memo("w").at_ms == pytest.approx((START_S + 12) * 1000, abs=50)


def test_a_wait_that_an_earlier_turn_began_ends_when_it_was_to_end() -> None:
    async def function(ctx: Any) -> Any:
        async def nap_and_work() -> None:
            await ctx.step.sleep("nap", "30m")
            await ctx.step.run("slow", asyncio.sleep, 3600)

        waited, _ = await asyncio.gather(ctx.step.wait_for_event("w", "a/b", timeout="1h"), nap_and_work())
        return waited

    world = World(function)
    assert world.finish() is None
    assert world.executions == 2
    assert world.memo("w").at_ms == pytest.approx((START_S + 3600) * 1000, abs=50)


def test_a_wait_that_is_still_pending_keeps_no_line_of_the_log_back() -> None:
    async def function(ctx: Any) -> Any:
        async def nap_and_tell() -> None:
            await ctx.step.sleep("nap", "30m")
            ctx.logger.info("slept")

        await asyncio.gather(ctx.step.wait_for_event("w", "a/b", timeout="1h"), nap_and_tell())
        ctx.logger.info("waited")

    world = World(function)
    world.finish()
    assert world.executions == 3
    assert world.log.events() == ["slept", "waited"]


def test_what_a_thread_asks_for_at_the_last_moment_is_part_of_the_decision(monkeypatch: pytest.MonkeyPatch) -> None:
    ask, asked = threading.Event(), threading.Event()
    turn, tell = Settler._turn, edge.tell_loop

    def turn_of_settler(settler: Settler) -> None:
        if settler._quiet == settler._needed - 2 and not ask.is_set():
            ask.set()
            assert asked.wait(10)
        turn(settler)

    def tell_loop(loop: asyncio.AbstractEventLoop, callback: Any, *args: Any) -> None:
        tell(loop, callback, *args)
        if ask.is_set():
            asked.set()

    monkeypatch.setattr(Settler, "_turn", turn_of_settler)
    monkeypatch.setattr(edge, "tell_loop", tell_loop)

    def late(ctx: Any) -> None:
        ask.wait(10)
        ctx.step.wait_for_event("w", "a/b", timeout="2h")

    world = World(lambda ctx: ctx.parallel(lambda: ctx.step.sleep("nap", "1h"), lambda: late(ctx)))
    assert world.one_turn() == Suspended()
    assert sorted(call[0] for call in world.calls) == ["await_event", "suspend", "wait"]


# --- Races and combinators.


def test_a_race_of_a_wait_against_a_sleep_has_the_same_winner_in_each_replay() -> None:
    async def function(ctx: Any) -> Any:
        waiting = asyncio.ensure_future(ctx.step.wait_for_event("w", "a/b", timeout="1h"))
        sleeping = asyncio.ensure_future(ctx.step.sleep("nap", 60))
        done, pending = await asyncio.wait([waiting, sleeping], return_when=asyncio.FIRST_COMPLETED)
        for task in pending:
            task.cancel()
        won = "event" if waiting in done else "sleep"
        await ctx.step.sleep("after", "1d")
        return won

    for after_ms, winner in ((59_000, "event"), (61_000, "sleep")):
        world = World(function)
        world.plan = [(after_ms, lambda world=world: world.outside.arrive("a/b"))]  # type: ignore[misc]
        assert world.finish() == winner
        loser = "nap" if winner == "event" else "w"
        assert world.memo(loser).kind is MemoKind.ABANDONED
        assert world.outside.pending == {}
        assert world.finish() == winner


def test_a_wait_given_up_while_it_is_about_to_begin_is_recorded_as_abandoned() -> None:
    async def function(ctx: Any) -> Any:
        task = asyncio.ensure_future(ctx.step.wait_for_event("w", "a/b", timeout="1h"))
        await asyncio.sleep(0)
        await ctx.step.run("step", asyncio.sleep, 0.001)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await ctx.step.sleep("nap", 60)
        return "done"

    world = World(function, seed=3)
    world.plan = [(30_000, lambda: world.outside.arrive("a/b"))]
    assert world.finish() == "done"
    assert world.memo("w").kind is MemoKind.ABANDONED
    assert world.finish() == "done"


def test_waits_are_told_as_they_complete() -> None:
    async def function(ctx: Any) -> Any:
        waits = [ctx.step.wait_for_event(f"w{n}", f"a/{n}", timeout="1h") for n in range(3)]
        return [(await done).name for done in asyncio.as_completed([asyncio.ensure_future(wait) for wait in waits])]

    world = World(function)
    world.plan = [
        (after * 1000, lambda n=n: world.outside.arrive(f"a/{n}"))  # type: ignore[misc]
        for after, n in ((10, 1), (20, 2), (30, 0))
    ]
    assert world.finish() == ["a/1", "a/2", "a/0"]
    assert world.finish() == ["a/1", "a/2", "a/0"]


def test_a_failing_sibling_in_a_task_group_abandons_a_wait() -> None:
    async def fail() -> None:
        raise ValueError("no")

    async def function(ctx: Any) -> Any:
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(ctx.step.wait_for_event("w", "a/b", timeout="1h"))
                group.create_task(ctx.step.options(retries=0).run("fails", fail))
        except ExceptionGroup:
            pass
        await ctx.step.sleep("nap", "2h")
        return "compensated"

    world = World(function)
    assert world.finish() == "compensated"
    assert world.memo("w").kind is MemoKind.ABANDONED


def test_a_wait_that_was_answered_before_the_claim_is_told_without_a_call() -> None:
    async def function(ctx: Any) -> Any:
        event = await ctx.step.wait_for_event("w", "a/b", timeout="1h")
        return event.data

    world = World(function)
    blob = match_blob("5-0", Event("a/b", {"n": 1}, id="x"))
    world.memos[step_key("w", 0)] = Memo(1, 5, MemoKind.MATCHED, blob)
    world.sequence = 1
    assert world.finish() == {"n": 1}
    assert world.calls == []


@pytest.mark.parametrize("arrives_ms", [500, 5_000])
def test_a_wait_goes_on_while_the_function_is_called_again_because_a_thread_is_stuck(arrives_ms: int) -> None:
    release = threading.Event()
    began: list[str] = []

    def function(ctx: Any) -> Any:
        def bounded() -> Any:
            try:
                ctx.step.options(timeout=1, retries=0).run("stuck", release.wait, 10)
            except StepError as error:
                ctx.step.sleep("after", 10)
                return error.name

        def waiting() -> Any:
            began.append("waiting")
            return ctx.step.wait_for_event("w", "a/b", timeout="1h").data

        return list(ctx.parallel(bounded, waiting))

    world = World(function)
    world.plan = [(arrives_ms, lambda: world.outside.arrive("a/b", {"n": 1}))]
    try:
        assert world.finish() == ["StepTimeout", {"n": 1}]
    finally:
        release.set()
    assert len(began) > world.executions  # within one turn, too
    assert [call[0] for call in world.calls].count("await_event") == 1


# --- Mistakes.


def _never(_ctx: Any) -> Any:
    yield from ()


MISTAKES = {
    "none": ({"timeout": None}, "wait_for_event 'w': timeout is required"),
    "long": ({"timeout": "367d"}, "wait_for_event 'w': timeout must be 0 or more and at most 366d, not '367d'"),
    "negative": ({"timeout": -1}, "wait_for_event 'w': timeout must be 0 or more"),
    "number as text": ({"timeout": "3 days"}, "wait_for_event 'w': timeout '3 days' is not a duration"),
    "pattern": ({"event": "a/*"}, "wait_for_event 'w': event 'a/*' has a wildcard"),
    "empty": ({"event": ""}, "wait_for_event 'w': event must have 1 to 256 characters"),
    "no text": ({"event": 7}, "wait_for_event 'w': event must be "),
    "spaces": ({"event": " a/b"}, "wait_for_event 'w': event must have 1 to 256 characters, no space at its ends"),
    "unknown system event": ({"event": "durableq/none"}, "there is no such system event"),
    "no condition": ({"if_": 7}, "wait_for_event 'w': if_ must be an expression in a string, not int: 7"),
    "bad condition": ({"if_": "async.data.x =="}, "wait_for_event 'w': if_: "),
    "unknown variable": ({"if_": "other.data.x == 1"}, "wait_for_event 'w': if_: "),
}


@pytest.mark.parametrize("mistake", MISTAKES)
@both
def test_a_mistake_in_the_call_is_an_error_that_names_step_rule_and_value(written: str, mistake: str) -> None:
    given, message = MISTAKES[mistake]
    arguments: dict[str, Any] = {"event": "a/b", "timeout": "1h", **given}  # type: ignore[dict-item]

    def script(ctx: Any) -> Any:
        yield ctx.step.wait_for_event("w", arguments.pop("event", "a/b"), **arguments)

    world = World(function_of(written, script))
    outcome = world.finish()
    assert isinstance(outcome, Failed)
    assert message in outcome.failure.message
    assert world.calls == []


@both
def test_an_expression_that_does_not_compile_is_shown_with_a_caret(written: str) -> None:
    def script(ctx: Any) -> Any:
        yield ctx.step.wait_for_event("w", "a/b", timeout="1h", if_="async.data.x ==")

    outcome = World(function_of(written, script)).finish()
    assert outcome.failure.name == "ExpressionError"
    assert "\n  async.data.x ==\n" in outcome.failure.message
    assert outcome.failure.message.rstrip().endswith("^")


@pytest.mark.parametrize(
    ("named", "filed"),
    [
        ("durableq/function.failed", "durableq/function.failed"),
        ("inngest/function.finished", "durableq/function.finished"),
    ],
)
def test_system_events_may_be_waited_for_by_either_name(named: str, filed: str) -> None:
    async def function(ctx: Any) -> Any:
        await ctx.step.wait_for_event("w", named, timeout="1h")

    world = World(function)
    world.one_turn()
    assert [wait.event_name for wait in world.outside.pending.values() if isinstance(wait, EventWait)] == [filed]


@both
def test_a_wait_inside_a_steps_body_is_refused(written: str) -> None:
    def script(ctx: Any) -> Any:
        async def inner() -> None:
            await _awaited(ctx.step.wait_for_event("inner", "a/b", timeout="1h"))

        yield ctx.step.run("outer", inner)

    outcome = World(function_of(written, script)).finish()
    assert outcome.failure.name == "NestedStep"
    assert "step 'inner' is called inside step 'outer'" in outcome.failure.message


async def _awaited(value: Any) -> Any:
    return await value


@pytest.mark.parametrize("option", ["retries", "timeout", "backoff"])
@both
def test_an_option_that_a_wait_has_no_use_for_is_refused(written: str, option: str) -> None:
    value: Any = {"retries": 1, "timeout": "5s", "backoff": Backoff.fixed("1s")}[option]

    def script(ctx: Any) -> Any:
        yield ctx.step.options(**{option: value}).wait_for_event("w", "a/b", timeout="1h")

    outcome = World(function_of(written, script)).finish()
    remedy = (
        "give wait_for_event its own timeout=" if option == "timeout" else "call ctx.step.wait_for_event(…) without"
    )
    assert f"step.wait_for_event has no use for the option {option}: {remedy}" in outcome.failure.message


OTHERS = {
    "a step with a body": Memo(1, 0, MemoKind.DATA, codec.encode(1)),
    "a sleep": Memo(1, 0, MemoKind.WOKEN, codec.encode({"op": "sleep", "id": "w", "due": 5})),
    "a wait_for_signal": Memo(0, 0, MemoKind.SIGNALLING, codec.encode({"op": "wait_for_signal", "id": "w", "due": 5})),
    "an invoke": Memo(0, 0, MemoKind.INVOKING, codec.encode({"op": "invoke", "id": "w", "due": 5})),
}


@pytest.mark.parametrize("was", [*OTHERS, "an invoke that timed out"])
def test_an_id_that_was_another_kind_of_step_is_refused(was: str) -> None:
    async def function(ctx: Any) -> Any:
        await ctx.step.wait_for_event("w", "a/b", timeout="1h")

    world = World(function)
    memo = OTHERS.get(was) or Memo(1, 0, MemoKind.TIMED_OUT, OTHERS["an invoke"].blob)
    world.memos[step_key("w", 0)] = memo
    world.sequence = 1
    outcome = world.one_turn()
    assert isinstance(outcome, Failed)
    assert f"'w' is a wait_for_event now and was recorded as {was.partition(' that')[0]}:" in outcome.failure.message


def test_an_id_that_was_a_wait_and_is_another_step_now_is_refused() -> None:
    async def function(ctx: Any) -> Any:
        await ctx.step.run("w", nothing)

    world = World(function)
    world.memos[step_key("w", 0)] = Memo(1, 0, MemoKind.MATCHED, match_blob("5-0", Event("a/b")))
    world.sequence = 1
    outcome = world.one_turn()
    assert isinstance(outcome, Failed)
    assert "step 'w' is a run now and was recorded as a wait_for_event:" in outcome.failure.message


def test_a_wait_counts_as_a_step_of_the_run() -> None:
    async def function(ctx: Any) -> Any:
        for _ in range(3):
            await ctx.step.wait_for_event("w", "a/b", timeout=0)

    outcome = World(function, limits=Limits(steps_per_run=2)).finish()
    assert isinstance(outcome, Failed)
    assert outcome.failure.name == "LimitExceeded"


def test_what_a_function_raises_after_a_wait_is_retried_without_waiting_again() -> None:
    async def function(ctx: Any) -> Any:
        event = await ctx.step.wait_for_event("w", "a/b", timeout="1h")
        if ctx.attempt == 0:
            raise ValueError("again")
        return event.data

    world = World(function)
    world.plan = [(5, lambda: world.outside.arrive("a/b", {"n": 1}))]
    assert world.finish() == {"n": 1}
    assert isinstance(world.outcomes[-2], AttemptFailed)
    assert isinstance(world.outcomes[-1], Completed)
    assert [call[0] for call in world.calls].count("await_event") == 1
