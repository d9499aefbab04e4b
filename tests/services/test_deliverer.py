"""From accepted event to answered wait, as router and deliverer do it: by index, by condition, in order, by anybody."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
import structlog

from durableq.model.event import Event, decode_event, encode_event
from durableq.model.filing import file_under
from durableq.services import router as routing
from durableq.services.deliverer import Deliverer
from durableq.services.router import Router
from durableq.store.events import NewEvent
from durableq.store.waits import AwaitWrite, ToLookAt
from durableq.words.ids import event_key
from tests.servers import Server
from tests.store.shard import Held, Shard

BY_ID = "event.data.id == async.data.id"
NAME = "order/paid"


class Services:
    """A router and a deliverer over a shard, and runs that wait."""

    def __init__(self, shard: Shard) -> None:
        log = structlog.get_logger()
        self.shard = shard
        self.router = Router(shard.events, shard.waits, shard.registry, log)
        self.deliverer = Deliverer(shard.waits, shard.runs, log, 100)
        self._sent = 0

    async def waits(self, data: dict[str, Any], if_: str | None = BY_ID, name: str = NAME) -> Held:
        """A run of an event with these data that waits for another, asleep."""
        event = Event("order/created", data)
        held = await self._claimed(encode_event(event))
        filing = file_under(name, if_, {"name": event.name, "data": data})
        write = AwaitWrite(held.run, held.epoch, 0, "wait", b"", self.shard.now_ms + 60_000, b"", name, "", "", *filing)
        answer: Any = None
        while answer is None or isinstance(answer, ToLookAt):
            (answer,) = (await self.shard.waits.await_events("L1", [write])).items
            if isinstance(answer, ToLookAt):
                write = write._replace(looked=answer.entries[-1].id)
        assert await self.shard.suspend(held) is None
        return held

    async def _claimed(self, blob: bytes) -> Held:
        await self.shard.lease("L1")
        run = await self.shard.queued(blob=blob)
        (mine,) = [mine for mine in (await self.shard.claim()).runs if mine.id == run]
        return Held("L1", mine.id, mine.epoch)

    async def happens(self, data: dict[str, Any], name: str = NAME) -> None:
        self._sent += 1
        event = NewEvent(event_key(name, f"e{self._sent}"), 60_000, encode_event(Event(name, data)))
        await self.shard.events.send_events([event])
        await self.router.route()
        await self.deliverer.deliver()

    async def answers(self, *runs: Held) -> list[Any]:
        """Per run the data of the event that it was given, or None."""
        found = []
        for held in runs:
            memo = (await self.shard.runs.read_memos(held.run))["wait"]
            _, _, blob = memo.blob.partition(b" ")
            found.append(decode_event(blob).data if memo.number else None)
        return found


@pytest_asyncio.fixture
async def services(server: Server) -> AsyncIterator[Services]:
    shard = Shard(server)
    await shard.calls.open()
    yield Services(shard)
    await shard.close()


async def test_an_event_answers_those_that_wait_for_its_value(services: Services) -> None:
    one, two, text = [await services.waits({"id": value}) for value in (1, 2, "1")]
    await services.happens({"id": 1.0})
    assert await services.answers(one, two, text) == [{"id": 1.0}, None, None]


async def test_an_index_finds_and_the_condition_decides(services: Services) -> None:
    condition = BY_ID + " && async.data.amount > event.data.least"
    low, high = (
        await services.waits({"id": 1, "least": 10}, condition),
        await services.waits({"id": 1, "least": 99}, condition),
    )
    await services.happens({"id": 1, "amount": 50})
    assert await services.answers(low, high) == [{"id": 1, "amount": 50}, None]


@pytest.mark.parametrize("condition", [None, "async.data.ok == true", "async.data.id in event.data.ids"])
async def test_what_no_index_serves_is_evaluated(services: Services, condition: str | None) -> None:
    held = await services.waits({"ids": [3, 4]}, condition)
    if condition is not None:
        await services.happens({"id": 5, "ok": False})
        assert await services.answers(held) == [None]
    await services.happens({"id": 4, "ok": True})
    assert await services.answers(held) == [{"id": 4, "ok": True}]


@pytest.mark.parametrize("own", [{"id": None}, {}])
async def test_null_and_missing_meet_as_the_condition_has_it(services: Services, own: dict[str, Any]) -> None:
    held = await services.waits(own)
    await services.happens({"id": None})
    assert await services.answers(held) == [{"id": None}]


async def test_a_condition_over_more_than_is_taken_along_reads_the_run_s_own_event(services: Services) -> None:
    held = await services.waits({"text": "x" * 6000, "id": 1}, "event.data.text.size() == async.data.size")
    await services.happens({"size": 6000})
    assert await services.answers(held) == [{"size": 6000}]


async def test_two_hundred_and_fifty_runs_are_awake_after_one_event(services: Services) -> None:
    held = [await services.waits({"id": 7}) for _ in range(250)]
    await services.happens({"id": 7})
    assert await services.answers(*held) == [{"id": 7}] * 250


async def test_the_earliest_match_wins_also_when_both_are_routed_at_once(services: Services) -> None:
    held = await services.waits({"id": 1})
    for number in (1, 2):
        event = NewEvent(event_key(NAME, f"x{number}"), 60_000, encode_event(Event(NAME, {"id": 1, "n": number})))
        await services.shard.events.send_events([event])
    await services.router.route()
    await services.deliverer.deliver()
    assert await services.answers(held) == [{"id": 1, "n": 1}]


async def test_a_router_that_did_not_know_the_name_learns_it_in_time(services: Services) -> None:
    await services.happens({"id": 1}, "something/else")
    held = await services.waits({"id": 1})
    await services.happens({"id": 1})
    assert await services.answers(held) == [{"id": 1}]


async def test_a_router_keeps_no_names_that_were_forgotten_long_ago(
    services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(routing, "NAMES_KEPT", 5)
    for number in range(20):
        await services.waits({"id": 1}, None, f"reply/{number}")
        await services.happens({}, f"reply/{number}")
        await services.shard.waits.retire_names(0)
    held = await services.waits({"id": 1}, None, "reply/last")
    await services.happens({}, "reply/last")
    assert await services.answers(held) == [{}]
    assert len(services.router._waited) <= 7, "a name with an id in it is in use once"


async def test_what_is_filed_and_cannot_be_read_is_passed_over(services: Services) -> None:
    good = await services.waits({"id": 1})
    bad = await services._claimed(encode_event(Event("order/created", {})))
    filing = file_under(NAME, BY_ID, {"data": {"id": 1}})._replace(tail=b"\x09 of another release")
    write = AwaitWrite(bad.run, bad.epoch, 0, "wait", b"", 2**41, b"", NAME, "9999999999999-0", "", *filing)
    await services.shard.waits.await_events("L1", [write])
    await services.happens({"id": 1})
    assert await services.answers(good) == [{"id": 1}]
    assert (await services.shard.runs.read_memos(bad.run))["wait"].number == 0


def test_what_is_taken_along_is_what_the_condition_reads() -> None:
    event = {"name": "n", "data": {"id": 1, "deep": {"a": [1], "b": 2}, "secret": "x" * 100}}
    filing = file_under(NAME, BY_ID + " && event.data.deep.a == async.data.a", event)
    assert b"secret" not in filing.tail
    assert (filing.path, len(filing.bucket)) == ("data.id", 24)
