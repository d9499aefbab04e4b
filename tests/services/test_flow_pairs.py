"""What docs/flow-control.md says of two options together, and of one beside what is no flow control: a test for each claim."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
import structlog

import durableq as dq
from durableq.model.event import Event, decode_given
from durableq.model.limits import Limits
from durableq.services.declared import Declared
from durableq.services.starting import Starter, prepare
from durableq.services.ticker import Ticker
from durableq.store.registry import Registry
from durableq.words.clock import SystemClock
from tests.servers import Server
from tests.services.routed import Routed
from tests.store.shard import Held, Shard

F = "shop/f"
ONE_AN_HOUR = dq.Throttle(1, period="1h")
ONE_OF_RUNS = dq.Concurrency(1, hold="run")


class Play:
    """One function `f` that events named `go` start, on a moved clock; runs are known by the `n` of their events."""

    def __init__(self, routed: Routed) -> None:
        self.routed = routed
        self.shard = routed.shard
        self._held: dict[Any, Held] = {}

    async def declare(self, *triggers: Any, **options: Any) -> Play:
        self.routed.function("f", dq.EventTrigger("go"), *triggers, **options)
        await self.routed.deploy()
        return self

    async def send(self, *numbers: int, ts: int | None = None, **more: Any) -> None:
        await self.routed.send(*[Event("go", {"n": n, **more}, ts=ts) for n in numbers])
        await self.routed.route()

    async def sent(self, name: str) -> None:
        await self.routed.send(Event(name))
        await self.routed.route()

    async def invoke(self, n: int) -> str:
        start = prepare(F, {"n": n}, Limits(), None, SystemClock())
        await Starter(self.shard.calls, "").start(start, 10)
        return start.run_id

    async def claims(self) -> list[Any]:
        """What a claim brings, in its order."""
        found = []
        for held in await self.routed.claim():
            n = await self._n(held.run)
            self._held[str(n)] = held
            found.append(n)
        return found

    async def completes(self, n: Any) -> None:
        await self.routed.complete(self._held.pop(str(n)))

    async def sleeps(self, n: Any, ms: int = 1) -> None:
        held = self._held.pop(str(n))
        await self.shard.suspend(held, key="nap", kind="w", blob=b"sleep", due_at_ms=self.shard.now_ms + ms)

    async def after(self, ms: int) -> None:
        """Let time pass, and do what is due."""
        self.shard.advance(ms)
        while (await self.shard.timers.fire_timers()).fired:
            pass

    async def pause(self, mode: str) -> None:
        await self.shard.flow.pause_functions([F], mode)

    async def runs(self) -> dict[Any, str]:
        """The state of each run."""
        return {str(await self._n(row.id)): row.state.label for row in await self.routed.rows(F)}

    async def cancel(self, n: Any) -> None:
        (run,) = [row.id for row in await self.routed.rows(F) if await self._n(row.id) == n]
        await self.routed.cancel(run)

    async def reasons(self) -> list[str]:
        return [skip.reason for skip in reversed(await self.shard.flow.skips(F))]

    async def _n(self, run: str) -> Any:
        blob = await self.shard.runs.read_input(run)
        numbers = [event.data.get("n", event.name) for event in decode_given(blob, 0)]
        return numbers if blob[:1] == b"B" else numbers[0]


@pytest_asyncio.fixture
async def play(server: Server) -> AsyncIterator[Play]:
    shard = Shard(server)
    await shard.calls.open()
    yield Play(Routed(shard))
    await shard.close()


# --- what delays, with what delays


async def test_so_many_execute_and_so_many_are_under_way(play: Play) -> None:
    await play.declare(concurrency=[dq.Concurrency(1), dq.Concurrency(2, hold="run")])
    await play.send(0, 1, 2)
    assert await play.claims() == [0]
    await play.sleeps(0)
    assert await play.claims() == [1], "two are under way now"
    await play.after(1)
    assert await play.claims() == [], "0 has its second slot, and waits for the first"
    await play.sleeps(1, 60_000)
    assert await play.claims() == [0], "2 has to wait until one of them has ended"
    await play.completes(0)
    assert await play.claims() == [2]


async def test_a_run_that_waits_for_a_slot_has_used_no_turn_of_the_throttle(play: Play) -> None:
    await play.declare(concurrency=1, throttle=dq.Throttle(1, period="10s"))
    await play.send(0, 1, 2)
    assert await play.claims() == [0]
    await play.after(15_000)
    assert await play.claims() == []
    await play.completes(0)
    assert await play.claims() == [1]
    await play.completes(1)
    await play.after(9_999)
    assert await play.claims() == [], "the turn was taken when 1 began"
    await play.after(1)
    assert await play.claims() == [2]


async def test_what_has_begun_passes_neither_throttle_nor_run_limit_again(play: Play) -> None:
    await play.declare(concurrency=ONE_OF_RUNS, throttle=ONE_AN_HOUR)
    await play.send(0, 1)
    assert await play.claims() == [0]
    await play.sleeps(0)
    await play.after(1)
    assert await play.claims() == [0]


@pytest.mark.parametrize("concurrency", [dq.Concurrency(1), ONE_OF_RUNS], ids=["turn", "run"])
async def test_who_is_more_urgent_is_next_for_a_slot(play: Play, concurrency: dq.Concurrency) -> None:
    await play.declare(concurrency=concurrency, priority="event.data.n * 60")
    await play.send(0, 1, 2)
    order = []
    for _ in range(3):
        (n,) = await play.claims()
        order.append(n)
        await play.completes(n)
    assert order == [2, 1, 0]


# --- what delays, with what drops


DELAYS: dict[str, dict[str, Any]] = {
    "concurrency": {"concurrency": 1},
    "hold-run": {"concurrency": ONE_OF_RUNS},
    "throttle": {"throttle": ONE_AN_HOUR},
    "priority": {"priority": "event.data.n"},
}
DROPS: dict[str, dict[str, Any]] = {
    "rate_limit": {"rate_limit": dq.RateLimit(2, period="1m")},
    "idempotency": {"idempotency": "event.data.n > 0"},
    "singleton": {"singleton": dq.Singleton(key="event.data.n > 0")},
}


@pytest.mark.parametrize("drop", DROPS)
@pytest.mark.parametrize("delay", DELAYS)
async def test_what_is_dropped_queues_nowhere_and_takes_no_turn(play: Play, delay: str, drop: str) -> None:
    """0 is not limited by the keys, 1 is the first that is; 2 and 3 are dropped."""
    await play.declare(**DELAYS[delay], **DROPS[drop])
    await play.send(0, 1, 2, 3)
    assert set(await play.runs()) == {"0", "1"}
    assert await play.reasons() == [drop] * 2
    began = await play.claims()
    for n in began:
        await play.completes(n)
    await play.after(3_600_000)
    assert sorted(began + await play.claims()) == [0, 1]


async def test_a_run_that_waits_for_its_turn_is_one_that_has_not_ended(play: Play) -> None:
    await play.declare(throttle=ONE_AN_HOUR, singleton=dq.Singleton(key="event.data.k"))
    await play.send(0, k="a")
    await play.send(1, k="b")
    assert await play.claims() == [0]
    await play.completes(0)
    await play.send(2, k="b")
    assert await play.reasons() == ["singleton"]
    await play.after(3_600_000)
    assert await play.claims() == [1]


async def test_what_replaces_a_run_is_counted(play: Play) -> None:
    await play.declare(rate_limit=dq.RateLimit(2, period="1h"), singleton="cancel")
    await play.send(0, 1, 2)
    await play.after(0)
    assert await play.runs() == {"0": "cancelled", "1": "queued"}
    assert await play.reasons() == ["rate_limit"]


async def test_a_singleton_goes_by_who_comes_first_whatever_the_priority(play: Play) -> None:
    await play.declare(singleton="skip", priority="event.data.n * 60")
    await play.send(0, 9)
    assert await play.claims() == [0]


# --- with what is held back


async def test_a_batch_takes_one_slot_and_one_turn_under_the_key_of_its_first_event(play: Play) -> None:
    await play.declare(
        batch=dq.Batch(2, timeout="1m"),
        concurrency=dq.Concurrency(1, key="event.data.k"),
        throttle=dq.Throttle(1, period="1h", burst=2, key="event.data.k"),
    )
    for n, k in enumerate("abaabb"):
        await play.send(n, k=k)
    assert sorted(await play.claims()) == [[0, 1], [4, 5]]
    await play.completes([0, 1])
    assert await play.claims() == [[2, 3]], "the second turn of a"


async def test_what_debounces_let_through_is_spaced(play: Play) -> None:
    await play.declare(debounce=dq.Debounce("1s", key="event.data.n"), throttle=dq.Throttle(1, period="10s"))
    await play.send(0, 1)
    await play.after(1_000)
    (first,) = await play.claims()
    await play.after(10_000)
    assert await play.claims() == [1 - first]


async def test_the_priority_is_that_of_the_event_that_is_kept(play: Play) -> None:
    await play.declare(debounce=dq.Debounce("1s", key="event.data.k"), priority="event.data.n * 60", concurrency=1)
    await play.send(9, k="a")
    await play.send(5, k="b")
    await play.send(1, k="a")
    await play.after(1_000)
    assert await play.claims() == [5]


async def test_a_debounce_that_fires_replaces_the_run_of_a_singleton_that_cancels(play: Play) -> None:
    await play.declare(debounce=dq.Debounce("1s"), singleton="cancel")
    await play.send(0)
    await play.after(1_000)
    await play.send(1)
    assert await play.runs() == {"0": "queued"}
    await play.after(1_000)
    assert await play.runs() == {"0": "cancelled", "1": "queued"}


# --- beside cancel_on and timeouts


async def test_a_run_that_is_cancelled_before_it_starts_has_used_no_turn(play: Play) -> None:
    await play.declare(throttle=dq.Throttle(1, period="10s"))
    await play.send(0, 1, 2)
    assert await play.claims() == [0]
    await play.cancel(1)
    await play.after(10_000)
    assert await play.claims() == [2]


async def test_a_run_that_is_cancelled_stays_counted_and_its_key_used_but_is_no_singleton_any_more(play: Play) -> None:
    await play.declare(rate_limit=dq.RateLimit(2, period="1h"), idempotency="event.data.n", singleton="skip")
    await play.send(0)
    await play.cancel(0)
    await play.send(0, 1)
    await play.cancel(1)
    await play.send(2)
    assert await play.reasons() == ["idempotency", "rate_limit"]


async def test_a_debounced_run_hears_what_cancels_it_from_when_it_is_there(play: Play) -> None:
    await play.declare(debounce=dq.Debounce("1s"), cancel_on=dq.CancelOn("stop"))
    await play.send(0)
    await play.sent("stop")
    await play.after(1_000)
    assert await play.runs() == {"0": "queued"}
    await play.sent("stop")
    assert await play.runs() == {"0": "cancelled"}


@pytest.mark.parametrize("delay", ["concurrency", "hold-run", "throttle"])
async def test_waiting_counts_for_the_time_to_start(play: Play, delay: str) -> None:
    await play.declare(**DELAYS[delay], timeouts=dq.Timeouts(start="5m"))
    await play.send(0, 1)
    play.shard.calls.now_ms = max(row.created_at_ms for row in await play.routed.rows(F))
    assert await play.claims() == [0]
    await play.after(299_000)
    assert await play.runs() == {"0": "running", "1": "queued"}
    await play.after(1_000)
    assert await play.runs() == {"0": "running", "1": "cancelled"}


# --- beside ticks, invokes, a future ts


async def test_a_tick_is_dropped_by_a_singleton_or_replaces_its_run(play: Play) -> None:
    for mode, states in (("skip", {"0": "queued"}), ("cancel", {"0": "cancelled", "durableq/cron.tick": "queued"})):
        play.routed.app = dq.App("shop")
        await play.declare(dq.CronTrigger("* * * * *"), singleton=mode)
        if mode == "skip":
            await play.send(0)
        ticker = Ticker(play.shard.crons, Declared(Registry(play.shard.calls)), structlog.get_logger())
        play.shard.advance(60_000)
        while not await ticker.run_once():
            pass
        await play.after(0)
        assert await play.runs() == states
    assert await play.reasons() == ["singleton"]


async def test_who_invokes_a_singleton_that_cancels_replaces_its_run(play: Play) -> None:
    await play.declare(singleton="cancel")
    await play.send(0)
    await play.invoke(1)
    await play.after(0)
    assert await play.runs() == {"0": "cancelled", "1": "queued"}


async def test_an_invoked_run_of_a_batch_function_is_a_run_of_its_one_event(play: Play) -> None:
    await play.declare(batch=dq.Batch(2, timeout="1m"), concurrency=1)
    await play.send(0)
    await play.invoke(1)
    assert await play.claims() == [1]


async def test_a_debounced_event_of_the_future_is_the_newest_and_its_run_waits_for_its_time(play: Play) -> None:
    await play.declare(debounce=dq.Debounce("1s"))
    await play.send(0, ts=play.shard.now_ms + 60_000)
    await play.send(1)
    await play.after(1_000)
    assert await play.runs() == {"0": "waiting"}
    await play.after(59_000)
    assert await play.claims() == [0]


async def test_an_event_of_the_future_joins_a_batch_as_it_comes(play: Play) -> None:
    await play.declare(batch=dq.Batch(2, timeout="1m"))
    await play.send(0, ts=play.shard.now_ms + 60_000)
    await play.send(1)
    assert await play.claims() == [[0, 1]]


async def test_a_delayed_run_asks_for_its_turn_when_it_is_due(play: Play) -> None:
    await play.declare(throttle=dq.Throttle(1, period="10s"))
    await play.send(0, ts=play.shard.now_ms + 60_000)
    await play.send(1)
    assert await play.claims() == [1]
    await play.after(59_000)
    await play.send(2)
    assert await play.claims() == [2]
    await play.after(1_000)
    assert await play.claims() == []
    await play.after(9_000)
    assert await play.claims() == [0]


# --- beside a pause


async def test_what_a_pause_skips_is_not_counted_and_uses_no_key(play: Play) -> None:
    await play.declare(rate_limit=dq.RateLimit(1, period="1h"), idempotency="event.data.n")
    await play.pause("skip")
    await play.send(0)
    await play.pause("")
    await play.send(0)
    assert await play.runs() == {"0": "queued"}
    assert await play.reasons() == ["paused"]


async def test_a_debounce_that_fires_in_a_pause_that_skips_is_dropped_and_a_batch_waits(play: Play) -> None:
    await play.declare(debounce=dq.Debounce("1s"))
    await play.send(0)
    await play.pause("skip")
    await play.after(1_000)
    assert (await play.runs(), await play.reasons()) == ({}, ["paused"])
    await play.pause("")
    play.routed.app = dq.App("shop")
    await play.declare(batch=dq.Batch(2, timeout="1s"))
    await play.send(1)
    await play.pause("skip")
    await play.after(1_000)
    assert await play.claims() == []
    await play.pause("")
    assert await play.claims() == [[1]]


async def test_turns_do_not_pile_up_in_a_pause(play: Play) -> None:
    await play.declare(throttle=dq.Throttle(1, period="10s", burst=2))
    await play.send(*range(6))
    assert await play.claims() == [0, 1]
    await play.pause("wait")
    await play.after(3_600_000)
    assert await play.claims() == []
    await play.pause("")
    assert await play.claims() == [2, 3]


async def test_what_has_begun_keeps_its_slot_in_a_pause_and_what_is_queued_reserves_none(play: Play) -> None:
    await play.declare(concurrency=[dq.Concurrency(1, key="'all'", scope="app"), ONE_OF_RUNS])
    play.routed.function("g", dq.EventTrigger("other"), concurrency=dq.Concurrency(1, key="'all'", scope="app"))
    await play.routed.deploy()
    await play.send(0, 1)
    assert await play.claims() == [0]
    await play.pause("wait")
    await play.sleeps(0)
    await play.after(1)
    await play.sent("other")
    assert await play.claims() == ["other"], "0 is awake and 1 queued, and neither has the slot of the app"
    await play.pause("")
    assert await play.claims() == []
    await play.completes("other")
    assert await play.claims() == [0], "1 has to wait for the end of 0"
