"""docs/flow-control.md: what it says of each pair of options that may be used together is what happens."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Any

import pytest

import durableq as dq
from durableq.testing import TestEnv
from tests.test_docs_flow import PAIRS

BY_KEY = "event.data.k"
ONE_AT_ONCE = dq.Concurrency(1)
ONE_UNDER_WAY = dq.Concurrency(1, hold="run")
SPACED = dq.Throttle(1, period="10s")
TWO_AN_HOUR = dq.RateLimit(2, period="1h")
QUIET = dq.Debounce("10s", key=BY_KEY)
PAIRED = dq.Batch(2, timeout="10s")
ONCE = "event.data.id"
SOONER = "event.data.p"
ONE_OF_A_KEY = dq.Singleton("skip", key=BY_KEY)


class Play:
    """A function `f` with these options, whose body takes a moment; and what became of its events."""

    def __init__(self, app: dq.App, env: TestEnv, noted: dict[str, Any]) -> None:
        self.app = app
        self.env = env
        self.began_at: datetime = env.now
        self._noted = noted

    def events(self, *several: dict[str, Any]) -> None:
        """Send them at one moment, numbered from 1 in all, and have executed what may be."""
        self.env.send([dq.Event("e", {"n": n, **data}) for n, data in enumerate(several, self._noted["sent"] + 1)])
        self._noted["sent"] += len(several)
        self.env.run_until_idle()

    @property
    def began(self) -> list[Any]:
        """Numbers of the events of bodies, in the order in which they began."""
        return [numbers for numbers, _ in self._noted["began"]]

    @property
    def seconds(self) -> list[int]:
        """When they began, in seconds since the beginning."""
        return [round((at - self.began_at).total_seconds()) for _, at in self._noted["began"]]

    @property
    def at_once(self) -> int:
        """How many bodies there were at once, at most."""
        return int(self._noted["peak"])

    @property
    def states(self) -> list[str]:
        return [run.status for run in self.env.runs]


@contextmanager
def play(*crons: dq.CronTrigger, now: str | None = None, **options: Any) -> Iterator[Play]:
    """A stage with one function, which has these options. Its event is named `e`."""
    app = dq.App("pairs")
    noted: dict[str, Any] = {"sent": 0, "began": [], "active": 0, "peak": 0}

    @app.function("f", triggers=[dq.EventTrigger("e"), *crons], **options)
    async def f(ctx: dq.Context) -> None:
        async def body() -> None:
            noted["began"].append(([event.data.get("n", "-") for event in ctx.events], env.now))
            noted["active"] += 1
            noted["peak"] = max(noted["peak"], noted["active"])
            await asyncio.sleep(0.002)
            noted["active"] -= 1

        await ctx.step.run("body", body)
        if "nap" in ctx.event.data:
            await ctx.step.sleep("nap", ctx.event.data["nap"])

    with TestEnv(app, now=now, concurrency=10) as env:
        yield Play(app, env, noted)


SCENES: dict[frozenset[str], Callable[[], None]] = {}


def of(this: str, other: str) -> Callable[[Callable[[], None]], Callable[[], None]]:
    def keep(scene: Callable[[], None]) -> Callable[[], None]:
        assert SCENES.setdefault(frozenset((this, other)), scene) is scene
        return scene

    return keep


@pytest.mark.parametrize("pair", [pair for pair, said in PAIRS.items() if said[0] == "works"], ids=" with ".join)
def test_what_the_table_says_of_a_pair_happens(pair: tuple[str, str]) -> None:
    SCENES[frozenset(pair)]()


# ---- concurrency


@of("concurrency", 'hold="run"')
def _() -> None:
    with play(concurrency=[ONE_AT_ONCE, dq.Concurrency(2, hold="run")]) as it:
        it.events({"nap": "1h"}, {"nap": "1h"}, {})
        assert it.states == ["waiting", "waiting", "queued"]
        it.env.run_to_end()
        assert it.at_once == 1


@of("concurrency", "throttle")
def _() -> None:
    with play(concurrency=ONE_AT_ONCE, throttle=dq.Throttle(1, period="10s", burst=2)) as it:
        it.events({}, {}, {})
        it.env.run_to_end()
        assert (it.seconds, it.at_once) == ([0, 0, 10], 1)


@of("concurrency", "rate_limit")
def _() -> None:
    with play(concurrency=ONE_AT_ONCE, rate_limit=TWO_AN_HOUR) as it:
        it.events({}, {}, {})
        assert (it.began, it.at_once) == ([[1], [2]], 1)


@of("concurrency", "idempotency")
def _() -> None:
    with play(concurrency=ONE_AT_ONCE, idempotency=ONCE) as it:
        it.events({"id": "a"}, {"id": "a"}, {"id": "b"})
        assert (it.began, it.at_once) == ([[1], [3]], 1)


@of("concurrency", "debounce")
def _() -> None:
    with play(concurrency=dq.Concurrency(1, key="event.data.who"), debounce=QUIET) as it:
        it.events({"k": 1, "who": "b"}, {"k": 2, "who": "a"}, {"k": 1, "who": "a"})
        it.env.run_to_end()
        assert (sorted(it.began), it.at_once) == ([[2], [3]], 1)  # of the same key, as of the events that were kept


@of("concurrency", "batch")
def _() -> None:
    with play(concurrency=dq.Concurrency(1, key=BY_KEY), batch=PAIRED) as it:
        it.events({"k": "a"}, {"k": "b"}, {"k": "a"}, {"k": "c"})
        assert (it.began, it.at_once) == ([[1, 2], [3, 4]], 1)


@of("concurrency", "priority")
def _() -> None:
    with play(concurrency=ONE_AT_ONCE, priority=SOONER) as it:
        it.events({"p": 0}, {"p": 100}, {"p": 50})
        assert it.began == [[2], [3], [1]]


@of("concurrency", "singleton")
def _() -> None:
    with play(concurrency=ONE_AT_ONCE, singleton=ONE_OF_A_KEY) as it:
        it.events({"k": "a"}, {"k": "a"}, {"k": "b"})
        assert (it.began, it.at_once) == ([[1], [3]], 1)


# ---- concurrency, hold="run"


@of('hold="run"', "throttle")
def _() -> None:
    with play(concurrency=ONE_UNDER_WAY, throttle=SPACED) as it:
        it.events({"nap": "1m"}, {})
        it.env.advance("59s")
        assert it.states == ["waiting", "queued"]
        it.env.run_to_end()
        assert it.seconds == [0, 60]


@of('hold="run"', "rate_limit")
def _() -> None:
    with play(concurrency=ONE_UNDER_WAY, rate_limit=TWO_AN_HOUR) as it:
        it.events({"nap": "1m"}, {}, {})
        assert it.states == ["waiting", "queued"]


@of('hold="run"', "idempotency")
def _() -> None:
    with play(concurrency=ONE_UNDER_WAY, idempotency=ONCE) as it:
        it.events({"id": "a", "nap": "1m"}, {"id": "a"}, {"id": "b"})
        assert it.states == ["waiting", "queued"]


@of('hold="run"', "debounce")
def _() -> None:
    with play(concurrency=ONE_UNDER_WAY, debounce=QUIET) as it:
        it.events({"k": 1, "nap": "1m"}, {"k": 2, "nap": "1m"}, {"k": 2, "nap": "1m"})
        it.env.advance("10s")
        assert sorted(it.states) == ["queued", "waiting"]


@of('hold="run"', "batch")
def _() -> None:
    with play(concurrency=ONE_UNDER_WAY, batch=PAIRED) as it:
        it.events({"nap": "1m"}, {}, {}, {})
        assert it.states == ["waiting", "queued"]


@of('hold="run"', "priority")
def _() -> None:
    with play(concurrency=ONE_UNDER_WAY, priority=SOONER) as it:
        it.events({"p": 0, "nap": "1s"})
        it.events({"p": 0}, {"p": 100})
        it.env.run_to_end()
        assert it.began == [[1], [3], [2]]


@of('hold="run"', "singleton")
def _() -> None:
    with play(concurrency=ONE_UNDER_WAY, singleton=ONE_OF_A_KEY) as it:
        it.events({"k": "a", "nap": "1m"}, {"k": "b"}, {"k": "a"}, {"k": "b"})
        assert it.states == ["waiting", "queued"]


# ---- throttle


@of("throttle", "rate_limit")
def _() -> None:
    with play(throttle=SPACED, rate_limit=TWO_AN_HOUR) as it:
        it.events({}, {}, {})
        it.env.run_to_end()
        assert it.seconds == [0, 10]


@of("throttle", "idempotency")
def _() -> None:
    with play(throttle=SPACED, idempotency=ONCE) as it:
        it.events({"id": "a"}, {"id": "a"}, {"id": "b"})
        it.env.run_to_end()
        assert (it.began, it.seconds) == ([[1], [3]], [0, 10])


@of("throttle", "debounce")
def _() -> None:
    with play(throttle=SPACED, debounce=QUIET) as it:
        it.events({"k": 1}, {"k": 2}, {"k": 2})
        it.env.run_to_end()
        assert it.seconds == [10, 20]


@of("throttle", "batch")
def _() -> None:
    with play(throttle=dq.Throttle(1, period="10s", key=BY_KEY), batch=PAIRED) as it:
        it.events({"k": "a"}, {"k": "b"}, {"k": "a"}, {"k": "c"})
        it.env.run_to_end()
        assert (it.began, it.seconds) == ([[1, 2], [3, 4]], [0, 10])


@of("throttle", "priority")
def _() -> None:
    with play(throttle=SPACED, priority=SOONER) as it:
        it.events({"p": 0}, {"p": 50}, {"p": 100})
        it.env.run_to_end()
        assert it.began == [[3], [2], [1]]


@of("throttle", "singleton")
def _() -> None:
    with play(throttle=SPACED, singleton=ONE_OF_A_KEY) as it:
        it.events({"k": "a"}, {"k": "b"}, {"k": "b"}, {"k": "c"})
        it.env.run_to_end()
        assert (it.began, it.seconds) == ([[1], [2], [4]], [0, 10, 20])


# ---- rate_limit


@of("rate_limit", "idempotency")
def _() -> None:
    with play(rate_limit=TWO_AN_HOUR, idempotency=ONCE) as it:
        it.events({"id": "a"}, {"id": "a"}, {"id": "b"}, {"id": "c"})
        assert it.began == [[1], [3]]
        it.env.advance("1h")
        it.events({"id": "c"})
        assert it.began == [[1], [3], [5]]


@of("rate_limit", "debounce")
def _() -> None:
    with play(rate_limit=TWO_AN_HOUR, debounce=QUIET) as it:
        it.events({"k": 1}, {"k": 1})
        it.env.advance("9s")
        it.events({"k": 1})
        it.env.advance("1s")
        assert (it.began, it.seconds) == ([[2]], [10])


@of("rate_limit", "batch")
def _() -> None:
    with play(rate_limit=TWO_AN_HOUR, batch=dq.Batch(3, timeout="10s")) as it:
        it.events({}, {}, {})
        it.env.advance("10s")
        assert it.began == [[1, 2]]


@of("rate_limit", "priority")
def _() -> None:
    with play(rate_limit=TWO_AN_HOUR, priority=SOONER, concurrency=1) as it:
        it.events({"p": 0}, {"p": 50}, {"p": 100})
        assert it.began == [[2], [1]]


@of("rate_limit", "singleton")
def _() -> None:
    with play(rate_limit=TWO_AN_HOUR, singleton=ONE_OF_A_KEY) as it:
        it.events({"k": "a", "nap": "1m"}, {"k": "a"})
        it.env.run_to_end()
        it.events({"k": "a"}, {"k": "b"})
        assert it.began == [[1], [3]]
    with play(rate_limit=TWO_AN_HOUR, singleton="cancel") as it:
        it.events({"nap": "1m"}, {"nap": "1m"}, {"nap": "1m"})
        assert it.states == ["cancelled", "waiting"]


# ---- idempotency


@of("idempotency", "debounce")
def _() -> None:
    with play(idempotency=ONCE, debounce=QUIET) as it:
        it.events({"k": 1, "id": "a"})
        it.env.advance("9s")
        it.events({"k": 1, "id": "a"})
        it.env.advance("1s")
        assert (it.began, it.seconds) == ([[1]], [10])


@of("idempotency", "batch")
def _() -> None:
    with play(idempotency=ONCE, batch=PAIRED) as it:
        it.events({"id": "a"}, {"id": "a"}, {"id": "b"})
        assert it.began == [[1, 3]]


@of("idempotency", "priority")
def _() -> None:
    with play(idempotency=ONCE, priority=SOONER, concurrency=1) as it:
        it.events({"id": "a", "p": 0}, {"id": "a", "p": 100}, {"id": "b", "p": 50})
        assert it.began == [[3], [1]]


@of("idempotency", "singleton")
def _() -> None:
    with play(idempotency=ONCE, singleton="skip") as it:
        it.events({"id": "a", "nap": "1m"}, {"id": "b"})
        it.env.run_to_end()
        it.events({"id": "b"})
        assert it.began == [[1], [3]]


# ---- debounce, priority


@of("debounce", "priority")
def _() -> None:
    with play(debounce=QUIET, priority=SOONER, concurrency=1) as it:
        it.events({"k": 1, "p": 100}, {"k": 2, "p": 0}, {"k": 1, "p": 0}, {"k": 2, "p": 100})
        it.env.run_to_end()
        assert it.began == [[4], [3]]


@of("debounce", "singleton")
def _() -> None:
    with play(debounce=dq.Debounce("10s"), singleton="skip") as it:
        it.events({"nap": "1m"})
        it.env.advance("10s")
        it.events({})
        it.env.run_to_end()
        assert it.began == [[1]]
    with play(debounce=dq.Debounce("10s"), singleton="cancel") as it:
        it.events({"nap": "1m"})
        it.env.advance("10s")
        it.events({})
        assert it.states == ["waiting"]
        it.env.run_to_end()
        assert it.states == ["cancelled", "completed"]


@of("priority", "singleton")
def _() -> None:
    with play(priority=SOONER, singleton=ONE_OF_A_KEY) as it:
        it.events({"k": "a", "p": 0}, {"k": "a", "p": 100})
        assert it.began == [[1]]
