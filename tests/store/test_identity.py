"""A process that has seen one namespace and meets another, or none, writes nothing more, whatever it sends."""

from __future__ import annotations

import pytest

from durableq.store.calls import SCHEMA
from durableq.store.events import NewEvent
from durableq.store.opening import check_server, open_patiently
from durableq.words.errors import ConfigError, RedisRefused, StateLost, UnknownSchema
from durableq.words.telemetry import Log
from tests.servers import RealServer, Server, on
from tests.store.shard import SCRIPTS, Shard
from tests.store.test_contract import VERBS

EVERY_OTHER = sorted(set(SCRIPTS) - {"open_namespace"})


@pytest.mark.parametrize("script", EVERY_OTHER)
async def test_every_verb_meets_a_flushed_redis_with_state_lost(shard: Shard, script: str) -> None:
    await shard.command("FLUSHALL")
    with pytest.raises(StateLost, match="flushed, or an empty server"):
        await VERBS[script][0](shard.calls)
    assert (await shard.stored()).items == {}


@pytest.mark.parametrize("script", EVERY_OTHER)
async def test_every_verb_meets_another_namespace_with_state_lost(shard: Shard, script: str) -> None:
    await shard.command("HSET", shard.key("meta"), "identity", "somebody-else")
    before = await shard.stored()
    with pytest.raises(StateLost, match="it is somebody-else now"):
        await VERBS[script][0](shard.calls)
    assert before.changed(await shard.stored()) == set()


async def test_a_process_that_has_not_opened_writes_nothing(shard: Shard) -> None:
    shard.calls.identity = ""
    with pytest.raises(StateLost):
        await shard.events.send_events([NewEvent("e", 1, b"")])


async def test_scripts_that_were_flushed_are_sent_again(shard: Shard) -> None:
    held = await shard.claimed()
    await shard.command("SCRIPT", "FLUSH")
    assert await shard.release(held) is None


async def test_the_first_gives_the_namespace_its_identity_and_the_others_learn_it(shard: Shard, server: Server) -> None:
    other = Shard(server)
    before = await shard.stored()
    assert await other.calls.open() == shard.now_ms
    assert other.calls.identity == shard.calls.identity != ""
    assert before.changed(await shard.stored()) == set()
    await other.close()


async def test_namespaces_on_one_server_do_not_meet(shard: Shard, server: Server) -> None:
    other = Shard(server, "u")
    await other.calls.open()
    assert other.calls.identity != shard.calls.identity
    before = await other.stored()
    await shard.claimed()
    assert before.changed(await other.stored()) == set()
    await other.close()


async def test_data_of_a_later_schema_is_refused_and_both_are_named(shard: Shard) -> None:
    await shard.command("HSET", shard.key("meta"), "schema", SCHEMA + 1)
    identity, shard.calls.identity = shard.calls.identity, ""
    with pytest.raises(UnknownSchema, match=f"data of schema {SCHEMA + 1}; this release reads schema {SCHEMA}"):
        await shard.calls.open()
    assert shard.calls.identity == "", "it must not write"
    shard.calls.identity = identity
    await shard.command("HSET", shard.key("meta"), "schema", SCHEMA)


# What a process checks when it starts


@on("redis7", "valkey")
async def test_a_server_that_evicts_is_refused_unless_that_is_accepted(shard: Shard) -> None:
    await check_server(shard.calls, allow_eviction=False)
    await shard.command("CONFIG", "SET", "maxmemory-policy", "allkeys-lru")
    with pytest.raises(ConfigError, match=r"maxmemory-policy allkeys-lru.*Set maxmemory-policy to noeviction"):
        await check_server(shard.calls, allow_eviction=False)
    await check_server(shard.calls, allow_eviction=True)


@on("redis7", "valkey")
async def test_redis_is_waited_for_when_it_is_away_and_that_is_said(server: RealServer) -> None:
    said: list[str] = []

    class Saying:
        def warning(self, event: str, **_: object) -> None:
            said.append(event)
            server.restart()

        info = debug = error = warning

    server.kill()
    shard = Shard(server)
    log: Log = Saying()
    await open_patiently(shard.calls, server.url, log)
    assert said[0] == "redis.away"
    assert shard.calls.identity
    await shard.close()
    server.flush()


@on("redis7")
async def test_what_waiting_does_not_mend_ends_the_wait(shard: Shard) -> None:
    await shard.command("CONFIG", "SET", "requirepass", "secret")
    other = Shard(shard.server)

    class Silent:
        def warning(self, event: str, **_: object) -> None: ...

        info = debug = error = warning

    with pytest.raises(RedisRefused):
        await open_patiently(other.calls, "unix:///nowhere", Silent())
    await other.close()
    await shard.command("CONFIG", "SET", "requirepass", "")
