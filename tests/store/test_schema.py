"""What an earlier release stored loads, reads as it was meant, and every run of it goes on to its end.

One fixture per schema, made by make_fixture.py when that schema was new. A test here that fails means: what is stored has
changed its meaning. Then SCHEMA grows, and this release reads the schema before its own.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from durableq.engine.records import Abandonment, Delay, Sleep
from durableq.model.event import decode_event
from durableq.model.failure import Failure
from durableq.model.memo import MemoKind
from durableq.model.run import State
from durableq.store.calls import SCHEMA
from durableq.store.events import NewEvent
from durableq.store.keys import BY_NAME
from durableq.words import codec
from durableq.words.errors import UnknownSchema
from durableq.words.ids import event_key, step_key
from tests.servers import Server
from tests.store.awaiting import deliver
from tests.store.invariants import assert_invariants, violations
from tests.store.make_fixture import FIXTURES, SHOP, made
from tests.store.shard import Shard
from tests.store.stored import Stored

ALL = sorted(FIXTURES.glob("schema_*/*.json"))
READ_SCHEMAS = (SCHEMA, SCHEMA - 1)


async def loaded(server: Server, path: Path) -> tuple[Shard, dict[str, Any]]:
    """The fixture on a server, opened as a process of this release would."""
    fixture = json.loads(path.read_text())
    shard = Shard(server, "shop")
    for entry in fixture["keys"]:
        await load(shard, entry)
    shard.calls.now_ms = fixture["now_ms"]
    await shard.calls.open()
    assert shard.calls.identity == fixture["identity"]
    return shard, fixture


async def load(shard: Shard, entry: dict[str, Any]) -> None:
    key, value = entry["key"], entry["value"]
    flat = [part.encode("latin-1") if isinstance(part, str) else part for part in value] if value else []
    match entry["type"]:
        case "hash":
            await shard.command("HSET", key, *flat)
        case "zset":
            await shard.command("ZADD", key, *(part for i in range(0, len(flat), 2) for part in (flat[i + 1], flat[i])))
        case "set":
            await shard.command("SADD", key, *flat)
        case "list":
            await shard.command("RPUSH", key, *flat)
        case "string":
            await shard.command("SET", key, value.encode("latin-1"))
        case "stream":
            for group in entry["groups"]:
                await shard.command("XGROUP", "CREATE", key, group, "$", "MKSTREAM")
            for entry_id, fields in value:
                await shard.command("XADD", key, entry_id, *(field.encode("latin-1") for field in fields))
    if "ttl_ms" in entry:
        await shard.command("PEXPIRE", key, entry["ttl_ms"])


def kinds(stored: Stored) -> set[str]:
    """The kinds of all memos."""
    memos = (memo for _, fields in stored.family("steps") for memo in fields.values())
    raw = (memo if isinstance(memo, bytes) else memo.encode() for memo in memos)
    return {memo.split(b" ")[2][:1].decode() for memo in raw}


def test_there_is_a_fixture_of_every_schema_that_this_release_reads() -> None:
    assert {path.parent.name for path in ALL} >= {f"schema_{number}" for number in READ_SCHEMAS if number > 0}


@pytest.mark.parametrize("path", ALL, ids=lambda path: path.parent.name)
async def test_every_run_of_it_goes_on_to_its_end(server: Server, path: Path) -> None:
    shard, _ = await loaded(server, path)
    before = await assert_invariants(shard.calls)
    states = {v["s"] for _, v in before.family("run")}
    assert states == {state.value for state in State}, "a fixture has runs in every state"
    unrouted = (await shard.events.unrouted(10)).entries
    assert len(unrouted) == 2
    await shard.route([entry.id for entry in unrouted], ["shop/charge", "shop/ship"])
    await deliver(shard, lambda _: False)
    await shard.run_to_the_end(SHOP)
    after = await assert_invariants(shard.calls)
    assert {v["s"] for _, v in after.family("run")} == {"c", "f", "x"}
    assert len(dict(after.family("run"))) == len(dict(before.family("run"))) + 2 + 2, "routed, and what was held back"
    for run, v in before.family("run"):
        if v["s"] in "cfx":
            assert after.of("run", run) == v
    await shard.close()


@pytest.mark.parametrize("path", ALL, ids=lambda path: path.parent.name)
async def test_it_reads_as_it_was_meant(server: Server, path: Path) -> None:
    shard, fixture = await loaded(server, path)
    runs = {}
    for run, _ in (await shard.stored()).family("run"):
        details = await shard.reads.details(run)
        assert details is not None
        runs[decode_event(details.input).data["order"]] = details
    completed, failed, asleep, flaky = (runs[number] for number in (1, 2, 3, 4))
    assert codec.decode(completed.output) == ["done", None]
    assert codec.decode(completed.memos[step_key("pay", 0)].blob) == {"paid": 12.5, "by": b"card"}
    assert Failure.decode(failed.output).message == "card declined"
    assert Failure.decode(failed.memos[step_key("pay", 0)].blob).name == "ValueError"
    assert asleep.memos[step_key("short", 0)].kind is MemoKind.WOKEN
    assert Abandonment.decode(asleep.memos[step_key("slow", 0)].blob) == Abandonment("slow", 100)
    assert Sleep.decode(asleep.memos[step_key("long", 0)].blob).step_id == "long"
    assert Delay.decode(flaky.memos[step_key("flaky", 0)].blob).failure.message == "card declined"
    assert flaky.memos[step_key("flaky", 0)].kind is MemoKind.RETRYING
    assert [entry.verb for entry in asleep.history][:2] == ["w", "s"]
    assert runs[5].row.attempt == 1
    assert runs[7].row.deaths == 2
    again = NewEvent(event_key("order/created", "o13"), 60_000, b"")
    assert await shard.events.send_events([again]) == [""], "what was accepted then is known now"
    assert fixture["schema"] in READ_SCHEMAS
    await shard.close()


async def test_what_is_written_today_has_the_shape_of_the_newest_fixture(server: Server) -> None:
    """The same story again: if it leaves other keys or fields behind, the schema has changed."""

    def shape(fixture: dict[str, Any]) -> set[tuple[str, ...]]:
        stored = _stored(fixture)
        found: set[tuple[str, ...]] = {(item.name, item.kind) for item in stored.items.values()}
        for name in ("run", "meta", "lease"):
            found |= {(name, field) for _, value in stored.family(name) for field in value}
        return found | {("memo", kind) for kind in kinds(stored)}

    newest = json.loads((FIXTURES / f"schema_{SCHEMA}" / "full.json").read_text())
    assert shape(await made(server)) == shape(newest)
    assert violations(_stored(newest)) == []
    names = {item.name for item in _stored(newest).items.values()}
    assert names == set(BY_NAME) - {"scratch"}, "a fixture has every key"
    assert kinds(_stored(newest)) == {kind.value for kind in MemoKind}, "and every kind of memo"


@pytest.mark.parametrize("stored", [SCHEMA + 1, 99])
async def test_a_later_schema_is_refused_and_both_are_named(server: Server, stored: int) -> None:
    shard, _ = await loaded(server, ALL[-1])
    await shard.command("HSET", shard.key("meta"), "schema", stored)
    with pytest.raises(UnknownSchema, match=f"schema {stored}; this release reads schema {SCHEMA}"):
        await shard.calls.open()
    await shard.close()


def _stored(fixture: dict[str, Any]) -> Stored:
    def raw(value: Any) -> Any:
        if isinstance(value, list):
            return [raw(inner) for inner in value]
        return value.encode("latin-1") if isinstance(value, str) else value

    reply = [
        [raw(entry["key"]), raw(entry["type"]), raw(entry["value"]), entry.get("ttl_ms", -1)]
        for entry in fixture["keys"]
    ]
    return Stored("dq:{shop:0}:", reply)
