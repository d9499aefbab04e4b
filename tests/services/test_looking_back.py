"""Waits for events of runs in hand: what came before is found, what comes later is brought, in order, once."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from durableq import App, Context, EventTrigger, SyncContext
from durableq.model.event import first_given
from durableq.services import executor
from tests.servers import Server, on
from tests.services.hands import Hands

START, PAID = "order/created", "order/paid"
SAME = "event.data.id == async.data.id"


@pytest_asyncio.fixture
async def hands(server: Server) -> AsyncIterator[Hands]:
    found = Hands(server)
    yield found
    await found.close()


class Gate:
    """Holds runs of an app up in a step, until it is opened."""

    def __init__(self) -> None:
        self.reached = 0
        self._open = asyncio.Event()

    async def pass_through(self) -> None:
        self.reached += 1
        await self._open.wait()

    def open(self) -> None:
        self._open.set()

    def close(self) -> None:
        self._open.clear()


def one_wait(gate: Gate | None = None, *, timeout: Any = "1m", if_: str | None = SAME) -> App:
    """A function that waits for one event; for the gate before that."""
    app = App("shop")

    @app.function("order", triggers=[EventTrigger(START)], retries=0)
    async def order(ctx: Context) -> Any:
        if gate is not None:
            await ctx.step.run("gate", gate.pass_through)
        paid = await ctx.step.wait_for_event("payment", PAID, timeout=timeout, if_=if_)
        return None if paid is None else paid.data

    return app


async def test_an_event_that_was_routed_before_the_wait_was_reached_is_found(hands: Hands) -> None:
    gate = Gate()
    await hands.begin(one_wait(gate))
    async with hands.turning():
        await hands.send(START, {"id": 1})
        await hands.until(lambda: gate.reached, "the run has begun")
        await hands.send(PAID, {"id": 2}, {"id": 1, "n": 1}, {"id": 1, "n": 2})
        await hands.routed()
        gate.open()
        assert await hands.results("shop/order") == [{"id": 1, "n": 1}]
    (run,) = await hands.runs("shop/order")
    assert run.row.epoch == 1, "the run was suspended"
    assert "v" not in {entry.verb for entry in run.history}, "a wait has begun"


async def test_waits_beside_each_other_decode_the_run_s_own_event_once(
    hands: Hands, monkeypatch: pytest.MonkeyPatch
) -> None:
    app, heads = App("shop"), []

    @app.function("many", triggers=[EventTrigger(START)], retries=0)
    async def many(ctx: Context) -> int:
        waits = [ctx.step.wait_for_event(f"w{n}", PAID, timeout="1m", if_=SAME) for n in range(20)]
        return len([paid for paid in await asyncio.gather(*waits) if paid is not None])

    def reading(blob: bytes, created_at_ms: int) -> Any:
        heads.append(blob)
        return first_given(blob, created_at_ms)

    monkeypatch.setattr(executor, "first_given", reading)
    await hands.begin(app)
    async with hands.turning():
        await hands.send(START, {"id": 1})
        await hands.asleep("shop/many")
        assert len(heads) == 1, "of 500 KB each would have held up the loop"
        await hands.send(PAID, {"id": 1})
        assert await hands.results("shop/many") == [20]


async def test_an_event_is_found_in_the_buffer_of_a_name_that_others_wait_for(hands: Hands) -> None:
    gate = Gate()
    app = one_wait(gate)

    @app.function("other", triggers=[EventTrigger("other")])
    async def other(ctx: Context) -> None:
        await ctx.step.wait_for_event("never", PAID, timeout="1h", if_="async.data.id == 77")

    await hands.begin(app)
    async with hands.turning():
        await hands.send("other")
        await hands.asleep("shop/other")
        await hands.send(START, {"id": 1})
        await hands.until(lambda: gate.reached, "the run has begun")
        await hands.send(PAID, {"id": 1})
        await hands.routed()
        await hands.calls.read("XTRIM", hands.calls.key("events"), "MAXLEN", 0)
        gate.open()
        assert await hands.results("shop/order") == [{"id": 1}]


@pytest.mark.parametrize("heard", [False, True])
async def test_what_is_there_is_looked_through_page_by_page(hands: Hands, heard: bool) -> None:
    gate = Gate()
    await hands.begin(one_wait(gate, if_=SAME))
    async with hands.turning():
        if heard:
            await hands.send(START, {"id": "never"})
            gate.open()
            await hands.asleep("shop/order")
            gate.close()
        await hands.send(START, {"id": 1})
        await hands.until(lambda: gate.reached == 1 + heard, "the run has begun")
        for n in range(3):
            await hands.send(PAID, *({"id": "another", "n": n} for _ in range(83)))
            await hands.send("noise", *({"id": 1} for _ in range(10)))
        await hands.send(PAID, {"id": 1, "n": "mine"}, {"id": 1, "n": "too late"})
        await hands.routed()
        gate.open()
        assert (await hands.results("shop/order"))[-1] == {"id": 1, "n": "mine"}


async def test_nothing_that_came_before_the_run_s_own_event_answers_it_nor_does_that_event_itself(hands: Hands) -> None:
    app = App("shop")

    @app.function("order", triggers=[EventTrigger(PAID, if_="event.data.first == true")])
    async def order(ctx: Context) -> Any:
        paid = await ctx.step.wait_for_event("payment", PAID, timeout="1m")
        return None if paid is None else paid.data

    await hands.begin(app)
    # In one call: they are of one ms, so only their whole ids say which was first.
    await hands.send(PAID, {"n": 0}, {"n": 1, "first": True}, {"n": 2}, {"n": 3})
    async with hands.turning():
        assert await hands.results("shop/order") == [{"n": 2}]


async def test_a_wait_that_has_begun_is_answered_when_the_event_comes(hands: Hands) -> None:
    await hands.begin(one_wait())
    async with hands.turning():
        await hands.send(START, {"id": 1}, {"id": 2})
        await hands.asleep("shop/order", 2)
        await hands.send(PAID, {"id": 2, "n": 1}, {"id": 2, "n": 2})
        await hands.ended("shop/order")
        await hands.send(PAID, {"id": 1, "n": 3})
        results = await hands.results("shop/order", 2)
        assert sorted(results, key=lambda data: data["id"]) == [{"id": 1, "n": 3}, {"id": 2, "n": 1}]


async def test_a_wait_of_a_run_that_stays_in_hand_is_answered_there(hands: Hands) -> None:
    gate = Gate()
    app = App("shop")

    @app.function("order", triggers=[EventTrigger(START)])
    async def order(ctx: Context) -> Any:
        paid = asyncio.create_task(_data(ctx.step.wait_for_event("payment", PAID, timeout="1m")))
        await ctx.step.run("gate", gate.pass_through)
        return await paid

    await hands.begin(app)
    async with hands.turning():
        await hands.send(START, {"id": 1})
        await hands.until(lambda: gate.reached, "the body has begun")
        await hands.send(PAID, {"large": "x" * 20_000})
        await hands.routed()
        gate.open()
        assert await hands.results("shop/order") == [{"large": "x" * 20_000}]
    (run,) = await hands.runs("shop/order")
    assert run.row.epoch == 1, "the run was suspended"


async def _data(wait: Any) -> Any:
    found = await wait
    return None if found is None else found.data


async def test_an_event_accepted_with_the_trigger_is_not_missed(hands: Hands) -> None:
    await hands.begin(one_wait(if_=None))
    async with hands.turning():
        for name, data in ((START, {"id": 1}), (PAID, {"n": 1})):
            await hands.send(name, data)
        assert await hands.results("shop/order") == [{"n": 1}]


async def test_a_loop_of_waits_reads_its_events_one_by_one_in_order(hands: Hands) -> None:
    app = App("shop")

    @app.function("reader", triggers=[EventTrigger(START)])
    async def reader(ctx: Context) -> list[int]:
        read: list[int] = []
        while len(read) < 30:
            found = await ctx.step.wait_for_event("next", "line", timeout="1m", if_="async.data.skip != true")
            assert found is not None
            read.append(found.data["n"])
        return read

    await hands.begin(app)
    await hands.send(START)
    await hands.send("line", *({"n": n, "skip": n % 2 == 1} for n in range(20)))  # 10 of them
    async with hands.turning():
        for n in range(20, 40):
            await hands.send("line", {"n": n, "skip": False})
            if n % 5 == 0:
                await hands.routed()
        assert await hands.results("shop/reader") == [[*range(0, 20, 2), *range(20, 40)]]


async def test_plain_functions_read_their_events_one_by_one_too(hands: Hands) -> None:
    app = App("shop")

    @app.function("reader", triggers=[EventTrigger(START)])
    def reader(ctx: SyncContext) -> list[int]:
        read: list[int] = []
        while len(read) < 12:
            found = ctx.step.wait_for_event("next", "line", timeout="1m")
            assert found is not None
            read.append(found.data["n"])
        return read

    await hands.begin(app)
    await hands.send(START)
    await hands.send("line", *({"n": n} for n in range(6)))
    async with hands.turning():
        await hands.asleep("shop/reader")
        for n in range(6, 12):
            await hands.send("line", {"n": n})
        assert await hands.results("shop/reader") == [list(range(12))]


@pytest.mark.parametrize("before", [True, False])
async def test_events_of_any_size_are_brought(hands: Hands, before: bool) -> None:
    gate = Gate()
    await hands.begin(one_wait(gate))
    data = {"id": 1, "text": "x" * 400_000}
    async with hands.turning():
        await hands.send(START, {"id": 1}, {"id": 1})
        await hands.until(lambda: gate.reached == 2, "the runs have begun")
        if not before:
            gate.open()
            await hands.asleep("shop/order", 2)
        await hands.send(PAID, data | {"id": 2}, data)
        await hands.routed()
        gate.open()
        assert await hands.results("shop/order", 2) == [data, data]


async def test_a_large_event_that_redis_has_not_kept_is_passed_over(hands: Hands) -> None:
    gate = Gate()
    app = one_wait(gate, if_=None)

    @app.function("other", triggers=[EventTrigger("other")])
    async def other(ctx: Context) -> None:
        await ctx.step.wait_for_event("never", PAID, timeout="1h", if_="async.data.id == 77")

    await hands.begin(app)
    async with hands.turning():
        await hands.send("other")
        await hands.asleep("shop/other")
        await hands.send(START, {"id": 1})
        await hands.until(lambda: gate.reached, "the run has begun")
        await hands.send(PAID, {"text": "x" * 20_000})
        await hands.send(PAID, {"n": 2})
        await hands.routed()
        await hands.calls.read("XTRIM", hands.calls.key("events"), "MAXLEN", 0)
        gate.open()
        assert await hands.results("shop/order") == [{"n": 2}]


async def test_an_event_that_cannot_be_read_is_passed_over_and_said_once(hands: Hands) -> None:
    gate = Gate()
    await hands.begin(one_wait(gate, if_="async.data.n > 0"))
    async with hands.turning():
        await hands.send(START, {"id": 1}, {"id": 2})
        await hands.until(lambda: gate.reached == 2, "the runs have begun")
        damaged = "9" * 13
        await hands.calls.read("XADD", hands.calls.key("events"), f"{damaged}-1", "b", b"\x07 another release's")
        await hands.calls.read("HINCRBY", hands.calls.key("meta"), "sent", 1)
        await hands.routed()
        gate.open()
        await hands.asleep("shop/order", 2)
        await hands.send(PAID, {"n": 0}, {"n": 1})
        assert await hands.results("shop/order", 2) == [{"n": 1}, {"n": 1}]
    assert [line["entry"] for line in hands.said("event.unreadable")] == [f"{damaged}-1"]


async def test_one_event_resumes_hundreds_of_runs(hands: Hands, server: Server) -> None:
    hundreds = 3 if server.kind.real else 1
    await hands.begin(one_wait())
    async with hands.turning():
        for _ in range(hundreds):
            await hands.send(START, *({"id": 7} for _ in range(100)))
        await hands.asleep("shop/order", hundreds * 100)
        await hands.send(PAID, {"id": 7})
        assert await hands.results("shop/order", hundreds * 100) == [{"id": 7}] * hundreds * 100


async def test_an_event_and_the_timeout_end_a_wait_once(hands: Hands) -> None:
    await hands.begin(one_wait(timeout=0.15))
    async with hands.turning():
        for n in range(40):
            await hands.send(START, {"id": n})
            await asyncio.sleep(0.004)
        for n in range(40):
            await hands.send(PAID, {"id": n})
        results = await hands.results("shop/order", 40)
    for run, result in zip(await hands.runs("shop/order"), results, strict=True):
        (memo,) = run.memos.values()
        assert (memo.kind, memo.number) == ("m" if result else "z", 1)
        assert result in (None, {"id": result and result["id"]})


async def test_a_timeout_is_none_in_hand_and_asleep(hands: Hands) -> None:
    gate = Gate()
    app = App("shop")

    @app.function("both", triggers=[EventTrigger(START)])
    async def both(ctx: Context) -> Any:
        beside = asyncio.create_task(_data(ctx.step.wait_for_event("beside", PAID, timeout=0.02)))
        await ctx.step.run("gate", gate.pass_through)
        return [await beside, await _data(ctx.step.wait_for_event("alone", PAID, timeout=0.05))]

    await hands.begin(app)
    async with hands.turning():
        await hands.send(START)

        async def over() -> bool:
            return "z" in {memo.kind for run in await hands.runs("shop/both") for memo in run.memos.values()}

        await hands.until(over, "the first wait is over")
        gate.open()
        assert await hands.results("shop/both") == [[None, None]]


@on("redis7", "valkey")
async def test_a_holder_that_lost_its_lease_while_it_looks_back_records_nothing(hands: Hands) -> None:
    gate = Gate()
    app = one_wait(gate)
    await hands.begin(app)
    worker = hands.workers[0]
    asked = worker._committer._verbs
    await_events = next(verb for kind, verb in asked.items() if kind.__name__ == "AwaitWrite")
    pages: list[Any] = []

    async def slow(lease: str, writes: Any) -> Any:
        answers = await await_events(lease, writes)
        pages.append(answers)
        if len(pages) == 1:
            await hands.workers[0]._leases.close_lease(lease, crashed=True, reason="the test", keep_failed=10)
        return answers

    asked[next(kind for kind in asked if kind.__name__ == "AwaitWrite")] = slow
    async with hands.turning():
        await hands.send(START, {"id": 1})
        await hands.until(lambda: gate.reached, "the run has begun")
        await hands.send(PAID, {"id": 1})
        await hands.routed()
        gate.open()
        assert await hands.results("shop/order") == [{"id": 1}]
    (run,) = await hands.runs("shop/order")
    assert run.row.epoch == 2, "another claim has finished it"
    assert len(pages) == 2


@on("redis7")
async def test_looking_through_many_events_holds_up_no_other_run(hands: Hands) -> None:
    gate = Gate()
    app = one_wait(gate)
    done: list[float] = []

    @app.function("plain", triggers=[EventTrigger("plain")])
    async def plain(ctx: Context) -> None:
        await ctx.step.run("a", _nothing)
        done.append(asyncio.get_running_loop().time())

    await hands.begin(app)
    async with hands.turning():
        await hands.send(START, *({"id": "mine"} for _ in range(20)))
        await hands.until(lambda: gate.reached == 20, "the runs have begun")
        for _ in range(20):
            await hands.send(PAID, *({"id": "another", "text": "x" * 1500} for _ in range(100)))
        await hands.routed()
        loop = asyncio.get_running_loop()
        gate.open()
        begun = loop.time()
        worst = 0.0
        while list((await hands.states("shop/order")).values()).count("w") < 20:
            before = time.thread_time()  # of this thread alone: other processes may have the CPU for longer
            await asyncio.sleep(0)
            worst = max(worst, time.thread_time() - before)
            if not done:
                await hands.send("plain")
        assert done, f"nothing else was executed in {loop.time() - begun:.1f} s"
        assert worst < 0.5


async def _nothing() -> None:
    pass


@pytest.mark.parametrize("before", [True, False])
async def test_conditions_read_the_run_s_own_event_however_large_it_is(hands: Hands, before: bool) -> None:
    gate = Gate()
    await hands.begin(one_wait(gate, if_="event.data.text.size() == async.data.size && event.ts > 0"))
    async with hands.turning():
        await hands.send(START, {"text": "x" * 400_000})
        await hands.until(lambda: gate.reached, "the run has begun")
        if not before:
            gate.open()
            await hands.asleep("shop/order")
        await hands.send(PAID, {"size": 1}, {"size": 400_000})
        await hands.routed()
        gate.open()
        assert await hands.results("shop/order") == [{"size": 400_000}]


async def test_what_user_code_does_to_its_event_changes_no_condition(hands: Hands) -> None:
    app = App("shop")

    @app.function("order", triggers=[EventTrigger(START)])
    async def order(ctx: Context) -> Any:
        ctx.event.data["id"] = 2
        return await _data(ctx.step.wait_for_event("payment", PAID, timeout="1m", if_=SAME))

    await hands.begin(app)
    async with hands.turning():
        await hands.send(START, {"id": 1})
        await hands.asleep("shop/order")
        await hands.send(PAID, {"id": 2}, {"id": 1})
        assert await hands.results("shop/order") == [{"id": 1}]


async def test_an_invoked_run_sees_events_from_its_creation_on(hands: Hands) -> None:
    gate = Gate()
    app = App("shop")

    @app.function("child", triggers=[EventTrigger("never")])
    async def child(ctx: Context) -> Any:
        await ctx.step.run("gate", gate.pass_through)
        return await _data(ctx.step.wait_for_event("payment", PAID, timeout="1m"))

    @app.function("parent", triggers=[EventTrigger(START)])
    async def parent(ctx: Context) -> Any:
        return await ctx.step.invoke("child", child)

    await hands.begin(app)
    async with hands.turning():
        await hands.send(PAID, {"n": "before"})
        await hands.send(START)
        await hands.until(lambda: gate.reached, "the child has begun")
        await hands.send(PAID, {"n": "meanwhile"}, {"n": "later"})
        await hands.routed()
        gate.open()
        assert await hands.results("shop/parent") == [{"n": "meanwhile"}]
