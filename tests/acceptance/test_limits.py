"""Limits, held against what bodies wrote: never more at once than declared, whoever is killed, frozen or deployed."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

import durableq as dq
from durableq.model.event import decode_event
from tests.acceptance.harness import COMMAND, REPOSITORY, Process, Stage, until
from tests.acceptance.ledger import VARIABLE, Line
from tests.acceptance.limited import APP, LIMIT_VARIABLE, gate
from tests.servers import RealServer
from tests.store.invariants import assert_invariants

BOTH = ("one", "one-def")


class Limited:
    """A stage with workers that have the app, and what their bodies did, per function: a step is named as its function."""

    def __init__(self, stage: Stage) -> None:
        self.stage = stage
        self._client = stage.client()

    async def workers(self, count: int = 2) -> list[Process]:
        self.stage.scheduler()
        made = [self.stage.worker(app=APP) for _ in range(count)]
        for worker in made:
            await worker.working()
        return made

    async def send(self, what: str, *gates: str, key: str = "k") -> None:
        """An event for each gate, in this order."""
        await self._client.send([dq.Event(f"limited/{what}", {"key": key, "gate": name}) for name in gates])

    def open(self, *names: str) -> None:
        for name in names:
            gate(self.stage.directory, name).touch()

    def lines(self, kind: str, *functions: str) -> list[Line]:
        return [line for line in self.stage.ledger.lines(kind) if line.step in functions]

    async def begun(self, count: int, *functions: str, within_s: float = 10) -> list[Line]:
        """Wait until this many bodies have begun. Returns them in order."""
        await until(
            lambda: len(self.lines("start", *functions)) >= count,
            f"{count} bodies of {functions} have begun",
            within_s=within_s,
        )
        return self.lines("start", *functions)

    def most_at_once(self, function: str, *, without: int = 0) -> int:
        """How many bodies went on at once at most; of the process `without` none counts."""
        count = most = 0
        for line in self.stage.ledger.lines():
            if line.step == function and line.pid != without:
                count += {"start": 1, "end": -1, "cut": -1}.get(line.kind, 0)
                most = max(most, count)
        return most

    async def rest(self, ended: int, within_s: float = 15) -> None:
        """Wait until as many runs have ended, and see that nothing holds a slot any more."""

        async def over() -> bool:
            runs = await self.stage.runs()
            return sum(run.row.ended_at_ms > 0 for run in runs) >= ended

        await until(over, f"{ended} runs have ended", within_s=within_s)
        calls = await self.stage.calls()

        async def free() -> bool:
            return not await calls.read("KEYS", calls.key("slots", "*"))

        await until(free, "all slots are free", within_s=5)
        await assert_invariants(calls)


@pytest.fixture
async def limited(start_server: Callable[..., RealServer], tmp_path: Path) -> AsyncIterator[Limited]:
    """On a server that may be killed without losing what it acknowledged."""
    stage = Stage(start_server("redis7", tcp=True, appendfsync="no"), tmp_path)
    yield Limited(stage)
    await stage.close()


async def test_the_next_of_a_key_begins_when_the_holders_process_is_killed_and_the_oldest_first(
    limited: Limited,
) -> None:
    workers = await limited.workers()
    await limited.send("one", "a", "b", "c")
    first = await limited.begun(2, *BOTH)
    victims = {line.pid for line in first}
    for worker in workers:
        for child in worker.children:
            if child in victims:
                os.kill(child, signal.SIGKILL)
    again = (await limited.begun(4, *BOTH))[2:]
    # The runs that were killed are the oldest of their key: they go on before b and c.
    assert {line.run_id for line in again} == {line.run_id for line in first}
    limited.open("a", "b", "c")
    await limited.rest(ended=6)
    given = {run.row.id: decode_event(run.input, "0-0").data["gate"] for run in await limited.stage.runs()}
    for function in BOTH:
        assert [given[line.run_id] for line in limited.lines("start", function)] == ["a", "a", "b", "c"]
        alive = [line for line in limited.stage.ledger.lines() if line.step == function][1:]
        assert [line.kind for line in alive] == ["start", "end"] * 3


@pytest.mark.slow
async def test_a_holder_that_is_frozen_beyond_its_lease_gives_way_and_does_not_come_back(limited: Limited) -> None:
    (frozen,) = await limited.workers(1)
    await limited.send("one", "a", "b")
    await limited.begun(2, *BOTH)
    frozen.signal_group(signal.SIGSTOP)
    stopped = frozen.child
    await limited.stage.worker(app=APP).working()
    again = (await limited.begun(4, *BOTH, within_s=20))[2:]
    assert stopped not in {line.pid for line in again}
    frozen.signal_group(signal.SIGCONT)
    await until(lambda: len(limited.lines("cut", *BOTH)) == 2, "it drops what it had", within_s=10)
    limited.open("a", "b")
    await limited.rest(ended=4)
    for function in BOTH:
        assert limited.most_at_once(function, without=stopped) == 1


async def test_who_holds_a_slot_when_redis_restarts_has_it_afterwards(limited: Limited) -> None:
    await limited.workers()
    await limited.send("one", "a", "b")
    await limited.begun(2, *BOTH)
    limited.stage.server.kill()
    await asyncio.sleep(1)
    limited.stage.server.start()
    await limited.send("one", "free", key="another")
    await limited.begun(4, *BOTH)  # those of the other key: all is at work again
    assert {line.run_id for line in limited.lines("start", *BOTH)[:2]}.isdisjoint(
        line.run_id for line in limited.lines("start", *BOTH)[2:]
    )
    limited.open("free")
    await until(lambda: len(limited.lines("end", *BOTH)) == 2, "they are done", within_s=10)
    assert len(limited.lines("start", *BOTH)) == 4
    limited.open("a", "b")
    await limited.rest(ended=6)
    assert all(len({line.run_id for line in limited.lines("start", name)}) == 3 for name in BOTH)


async def test_a_deploy_raises_and_lowers_a_limit_for_what_is_queued(
    limited: Limited, monkeypatch: pytest.MonkeyPatch
) -> None:
    def deploy(limit: int) -> None:
        monkeypatch.setenv(LIMIT_VARIABLE, str(limit))
        monkeypatch.setenv(VARIABLE, str(limited.stage.ledger.path))
        command = [*COMMAND, "sync", APP, "--redis-url", limited.stage.server.url]
        subprocess.run(command, cwd=REPOSITORY, check=True, capture_output=True, timeout=30)

    await limited.workers()  # of the first deployment all the time: numbers are not theirs to say
    gates = [f"g{n}" for n in range(8)]
    await limited.send("one", *gates)
    await limited.begun(2, *BOTH)
    deploy(4)
    await limited.begun(8, *BOTH)
    deploy(2)
    limited.open("g0", "g1")
    await until(lambda: len(limited.lines("end", *BOTH)) == 4, "two of each are done", within_s=10)
    await limited.send("one", "free", key="another")
    await limited.begun(10, *BOTH)  # so whoever might begin has had the time
    assert len(limited.lines("start", *BOTH)) == 10
    limited.open("g2")
    await limited.begun(12, *BOTH)
    limited.open(*gates, "free")
    await limited.rest(ended=18)
    assert [limited.most_at_once(name) for name in BOTH] == [4, 4]


async def test_a_singletons_next_run_begins_when_the_stubborn_body_before_it_has_ended(limited: Limited) -> None:
    await limited.workers()
    both = ("only", "only-def")
    await limited.send("only", "a")
    await limited.begun(2, *both)
    await limited.send("only", "b")

    async def displaced() -> bool:
        return sum(run.row.state.label == "cancelled" for run in await limited.stage.runs()) == 2

    await until(displaced, "the first two are cancelled", within_s=10)
    await limited.send("only", "c", key="another")
    await limited.begun(4, *both)
    # Their bodies go on, beyond the comparison of hands and what is given to code that is to leave.
    with pytest.raises(AssertionError):
        await limited.begun(5, *both, within_s=7)
    limited.open("a", "c")
    last = (await limited.begun(6, *both))[-2:]
    assert {line.run_id for line in last}.isdisjoint(line.run_id for line in limited.lines("start", *both)[:4])
    limited.open("b")
    await limited.rest(ended=6)
    for name in both:
        assert limited.most_at_once(name) == 2  # of two keys


async def test_what_a_function_does_on_its_way_out_to_sleep_counts(limited: Limited) -> None:
    await limited.workers()
    both = ("tidy", "tidy-def")
    await limited.send("tidy", "a", "b")
    await limited.begun(2, *both)
    with pytest.raises(AssertionError):
        await limited.begun(3, *both, within_s=2)
    limited.open("a", "b")
    await limited.rest(ended=4)
    for name in both:
        assert limited.most_at_once(name) == 1
