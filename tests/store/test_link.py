"""The link answers each call exactly once, in order, whatever happens to its connection; and says what it cannot know."""

from __future__ import annotations

import asyncio
import gc
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
import pytest_asyncio

from durableq.store.address import connector
from durableq.store.calls import Calls
from durableq.store.events import Events, NewEvent
from durableq.store.failures import StoreError, Unavailable
from durableq.store.keys import Keys
from durableq.store.link import Link
from durableq.store.wire import Answer, Connection, Direct, Streamed, Wire
from durableq.words.errors import RedisRefused
from tests.servers import RealServer, on
from tests.store.proxy import Proxy
from tests.store.shard import SCRIPTS

REPLY_TIMEOUT_S = 0.3
SOON_S = 5.0

pytestmark = on("redis7", "valkey")


@pytest.fixture(autouse=True, params=["direct", "streamed"])
def wire(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Both ways of reading and writing keep every promise of the link."""
    if request.param == "streamed":

        def streamed(connection: Connection, answer: Answer, resumed: Callable[[], None]) -> Wire:
            return Streamed(asyncio.get_running_loop(), connection, answer, resumed)

        monkeypatch.setattr("durableq.store.link.wire_over", streamed)
    return request.param


async def test_a_real_connection_is_read_and_written_without_its_own_streams(
    calls: Calls, proxy: Proxy, wire: str
) -> None:
    assert isinstance(calls.link._wire, Direct if wire == "direct" else Streamed)
    large = NewEvent("large", 60_000, b"x" * 3_000_000)
    await Events(calls).send_events([large])
    assert [entry.blob for entry in (await Events(calls).unrouted(1)).entries] == [large.blob]


@pytest_asyncio.fixture
async def proxy(server: RealServer) -> AsyncIterator[Proxy]:
    found = Proxy(server.url.removeprefix("unix://"))
    await found.start()
    yield found
    await found.close()


@pytest_asyncio.fixture
async def link(proxy: Proxy) -> AsyncIterator[Link]:
    found = Link(proxy.connect, reply_timeout_s=REPLY_TIMEOUT_S)
    yield found
    async with asyncio.timeout(SOON_S):
        await found.close()


@pytest_asyncio.fixture
async def calls(link: Link) -> Calls:
    found = Calls(link, SCRIPTS, Keys("t"))
    await found.open()
    return found


async def sends(calls: Calls, count: int) -> list[asyncio.Task[list[str]]]:
    """So many events, each sent by a call of its own, all in the link's hands."""
    events = Events(calls)
    tasks = [asyncio.create_task(events.send_events([NewEvent(f"e{i}", 60_000, b"%d" % i)])) for i in range(count)]
    await asyncio.sleep(0)
    return tasks


async def stored(server: RealServer) -> list[bytes]:
    async with server.client() as client:
        return [fields[b"b"] for _, fields in await client.xrange(Keys("t").of("events"))]


async def test_calls_made_in_one_turn_travel_in_one_write(calls: Calls, proxy: Proxy) -> None:
    await asyncio.gather(*await sends(calls, 1))
    before = len(proxy.requests)
    await asyncio.gather(*(calls.read("GET", f"k{i}") for i in range(50)))
    assert len(proxy.requests) == before + 1
    assert proxy.connections == 1


@pytest.mark.parametrize("fault", ["cut_request", "cut_reply"])
async def test_what_a_cut_leaves_unanswered_is_sent_again_in_order(
    server: RealServer, calls: Calls, proxy: Proxy, fault: str
) -> None:
    setattr(proxy, fault, True)
    await asyncio.gather(*await sends(calls, 20))
    assert proxy.connections == 2
    assert await stored(server) == [b"%d" % i for i in range(20)]


async def test_cuts_at_random_lose_nothing_and_double_nothing(server: RealServer, calls: Calls, proxy: Proxy) -> None:
    async def cut() -> None:
        while True:
            await asyncio.sleep(0.03)
            proxy.break_all()

    cutting = asyncio.create_task(cut())
    for _ in range(5):
        events = [NewEvent(f"{_}-{i}", 60_000, b"%d-%d" % (_, i)) for i in range(40)]
        await asyncio.gather(*(Events(calls).send_events([event]) for event in events))
    cutting.cancel()
    assert sorted(await stored(server)) == sorted(b"%d-%d" % (r, i) for r in range(5) for i in range(40))


@pytest.mark.parametrize("fault", ["silent", "deaf"])
async def test_a_half_open_connection_is_left_after_the_reply_timeout(
    server: RealServer, calls: Calls, proxy: Proxy, fault: str
) -> None:
    setattr(proxy, fault, True)
    began = time.monotonic()
    waiting = await sends(calls, 3)
    while proxy.connections == 1:
        await asyncio.sleep(0.01)
    assert REPLY_TIMEOUT_S <= time.monotonic() - began < REPLY_TIMEOUT_S * 4
    setattr(proxy, fault, False)
    await asyncio.gather(*waiting)
    assert await stored(server) == [b"0", b"1", b"2"]


async def test_a_peer_that_reads_nothing_does_not_hold_up_a_large_write(
    server: RealServer, calls: Calls, proxy: Proxy
) -> None:
    proxy.deaf = True
    large = NewEvent("large", 60_000, b"x" * 20_000_000)  # more than the buffers of two kernels
    waiting = asyncio.create_task(Events(calls).send_events([large]))
    async with asyncio.timeout(SOON_S):
        while proxy.connections == 1:
            await asyncio.sleep(0.01)
    proxy.deaf = False
    async with asyncio.timeout(SOON_S):
        await waiting
    assert [len(blob) for blob in await stored(server)] == [20_000_000]


async def test_a_slow_reply_within_the_timeout_breaks_nothing(calls: Calls, proxy: Proxy) -> None:
    proxy.delay_s = REPLY_TIMEOUT_S / 2
    await asyncio.gather(*await sends(calls, 3))
    assert proxy.connections == 1


@pytest.mark.parametrize("garbage", [b"HTTP/1.1 400 Bad Request\r\n\r\n", b"\x00\xff\x16\x03\x01", b"*-7\r\n$x\r\n"])
async def test_garbage_on_a_connection_that_worked_is_a_broken_connection(
    server: RealServer, calls: Calls, proxy: Proxy, garbage: bytes
) -> None:
    proxy.garbage = garbage
    await asyncio.gather(*await sends(calls, 3))
    assert proxy.connections == 2
    assert await stored(server) == [b"0", b"1", b"2"]


async def test_a_reply_that_nobody_asked_for_breaks_the_connection(calls: Calls, proxy: Proxy) -> None:
    await calls.read("GET", "k")
    for writer in proxy._writers[::2]:
        writer.write(b"+OK\r\n")
    async with asyncio.timeout(SOON_S):
        while calls.link.up:
            await asyncio.sleep(0.005)
        assert await calls.read("GET", "k") is None
    assert proxy.connections == 2


# Deadlines


async def test_a_deadline_that_passes_before_anything_was_sent_says_so(calls: Calls, proxy: Proxy) -> None:
    proxy.accepting = False
    proxy.break_all()
    while calls.link.up:
        await asyncio.sleep(0.005)
    with pytest.raises(Unavailable, match="not reachable") as failed:
        await Events(calls).send_events([NewEvent("e", 60_000, b"")], within_s=0.1)
    assert failed.value.maybe_applied is False


@pytest.mark.parametrize("fault", ["silent", "cut_reply", "cut_request"])
async def test_a_deadline_that_passes_after_it_was_sent_says_that_it_may_be_stored(
    calls: Calls, proxy: Proxy, fault: str
) -> None:
    if fault != "silent":
        proxy.accepting = False
    setattr(proxy, fault, True)
    with pytest.raises(Unavailable) as failed:
        await Events(calls).send_events([NewEvent("e", 60_000, b"")], within_s=0.15)
    assert failed.value.maybe_applied is True


async def test_a_call_that_was_given_up_is_not_sent_later(server: RealServer, calls: Calls, proxy: Proxy) -> None:
    proxy.accepting = False
    proxy.break_all()
    with pytest.raises(Unavailable):
        await Events(calls).send_events([NewEvent("e", 60_000, b"gone")], within_s=0.1)
    proxy.accepting = True
    await calls.read("GET", "k")
    assert await stored(server) == []


async def test_a_call_that_was_cut_and_is_then_put_off_still_may_have_been_applied(calls: Calls, proxy: Proxy) -> None:
    link, script = calls.link, SCRIPTS["fire_timers"]
    proxy.cut_reply = True
    future = link.run(script, calls.keys.base, calls.identity, "", 1)
    while proxy.connections == 1:
        await asyncio.sleep(0)
    proxy.garbage = b"-BUSY Redis is busy running a script.\r\n"  # in place of the second reply
    with pytest.raises(Unavailable) as failed:
        await link.within(0.05, future)
    assert failed.value.maybe_applied is True


# Closing


@pytest.mark.parametrize("fault", ["none", "silent", "deaf", "refusing"])
async def test_closing_answers_every_call_and_never_hangs(calls: Calls, proxy: Proxy, fault: str) -> None:
    if fault in ("silent", "deaf"):
        setattr(proxy, fault, True)
    elif fault == "refusing":
        proxy.accepting = False
        proxy.break_all()
    waiting = await sends(calls, 3)
    await asyncio.sleep(0.02 if fault != "none" else 0)
    async with asyncio.timeout(2):
        await calls.link.close()
        answers = await asyncio.gather(*waiting, return_exceptions=True)
    for answer in answers:
        assert isinstance(answer, (Unavailable, list))
        if fault in ("silent", "deaf"):
            assert isinstance(answer, Unavailable)
            assert answer.maybe_applied
    with pytest.raises(Unavailable) as refused:
        await calls.read("GET", "k")
    assert refused.value.maybe_applied is False


async def test_a_call_that_redis_cannot_take_fails_alone(calls: Calls) -> None:
    with pytest.raises((TypeError, UnicodeError)):
        await calls.read("GET", "lone \ud800")
    with pytest.raises((TypeError, UnicodeError)):
        await calls.read("SET", "k", object())
    assert await calls.read("GET", "k") is None


# What Redis refuses, and what it only puts off


async def test_errors_of_one_call_do_not_touch_the_next(calls: Calls) -> None:
    wrong = calls.read("HGET", calls.key("events"), "x", "too many")
    right = calls.read("GET", "k")
    with pytest.raises(StoreError, match="wrong number of arguments"):
        await wrong
    assert await right is None


async def test_a_forgotten_script_is_sent_whole(server: RealServer, calls: Calls) -> None:
    await asyncio.gather(*await sends(calls, 1))
    async with server.client() as client:
        await client.script_flush()
    await asyncio.gather(*(Events(calls).send_events([NewEvent(f"f{i}", 60_000, b"f%d" % i)]) for i in range(5)))
    assert await stored(server) == [b"0", b"f0", b"f1", b"f2", b"f3", b"f4"]


async def test_a_restarted_server_is_found_again(server: RealServer, calls: Calls) -> None:
    await asyncio.gather(*await sends(calls, 1))
    server.kill()
    waiting = asyncio.create_task(Events(calls).send_events([NewEvent("later", 60_000, b"later")]))
    await asyncio.sleep(0.05)
    assert not calls.link.up
    server.restart()
    async with asyncio.timeout(SOON_S):
        await waiting
    assert await stored(server) == [b"0", b"later"]


async def test_a_server_that_takes_no_writes_for_now_is_waited_for(server: RealServer, calls: Calls) -> None:
    await asyncio.gather(*await sends(calls, 1))
    async with server.client() as client:
        await client.config_set("min-replicas-to-write", 1)
        waiting = asyncio.create_task(Events(calls).send_events([NewEvent("later", 60_000, b"later")]))
        with pytest.raises(Unavailable, match=r"put it off.*NOREPLICAS"):
            await Events(calls).send_events([NewEvent("given up", 60_000, b"")], within_s=0.15)
        assert not waiting.done()
        await client.config_set("min-replicas-to-write", 0)
    async with asyncio.timeout(SOON_S):
        await waiting
    assert await stored(server) == [b"0", b"later"]


async def test_a_server_that_cannot_save_is_waited_for(
    start_server: Callable[..., RealServer], server: RealServer
) -> None:
    full = start_server(server.kind.name, appendonly="no", dbfilename="taken.rdb")
    link = Link(connector(full.url, "test"))
    calls = Calls(link, SCRIPTS, Keys("t"))
    await calls.open()
    async with full.client() as client:
        taken = Path((await client.config_get("dir"))["dir"]) / "taken.rdb"
        taken.mkdir()  # a snapshot cannot take the place of a folder
        await client.config_set("save", "3600 1000000")
        await client.bgsave()
        while (await client.info("persistence"))["rdb_last_bgsave_status"] != "err":
            await asyncio.sleep(0.02)
        waiting = asyncio.create_task(Events(calls).send_events([NewEvent("later", 60_000, b"later")]))
        await asyncio.sleep(0.05)
        assert not waiting.done()
        await client.config_set("stop-writes-on-bgsave-error", "no")
    async with asyncio.timeout(SOON_S):
        await waiting
        await link.close()


async def test_a_keeper_that_was_cancelled_begins_again(server: RealServer, calls: Calls) -> None:
    """Nothing of ours cancels it; a program that cancels every task of its loop does."""
    assert calls.link._keeper is not None
    calls.link._keeper.cancel()
    await asyncio.wait((calls.link._keeper,))
    await asyncio.gather(*await sends(calls, 3))
    assert await stored(server) == [b"0", b"1", b"2"]


async def test_a_link_that_is_closed_while_its_loop_ends_everything_is_complained_about_by_nobody(
    server: RealServer, calls: Calls
) -> None:
    complaints: list[str] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: complaints.append(context["message"]))
    await calls.read("PING")
    assert calls.link._keeper is not None
    calls.link._keeper.cancel()
    await asyncio.sleep(0)  # it is on its way out
    await calls.link.close()
    assert calls.link.at_rest
    calls.link._keeper = None  # with whose frames the connection goes
    gc.collect()
    assert complaints == []


async def test_a_replica_is_left_for_whatever_the_address_leads_to_next(
    start_server: Callable[..., RealServer], server: RealServer
) -> None:
    first = start_server(server.kind.name, tcp=True)
    link = Link(connector(first.url, "test"))
    calls = Calls(link, SCRIPTS, Keys("t"))
    await calls.open()
    async with first.client() as client:
        await client.execute_command("REPLICAOF", "127.0.0.1", "1")
        waiting = asyncio.create_task(Events(calls).send_events([NewEvent("e", 60_000, b"e")]))
        await asyncio.sleep(0.2)
        assert not waiting.done()
        assert isinstance(link.failure, Exception)
        assert "replica" in str(link.failure)
        await client.execute_command("REPLICAOF", "NO", "ONE")
    async with asyncio.timeout(SOON_S):
        assert len(await waiting) == 1
        await link.close()


async def test_a_wrong_password_is_refused_with_the_remedy(
    start_server: Callable[..., RealServer], server: RealServer
) -> None:
    locked = start_server(server.kind.name, tcp=True)
    async with locked.client() as client:
        await client.config_set("requirepass", "right")
    for url in (locked.url, locked.url.replace("://", "://:wrong@")):
        link = Link(connector(url, "test"))
        with pytest.raises(RedisRefused, match="Correct the user and password in the URL") as refused:
            await link.within(SOON_S, link.command("GET", "k"))
        assert "wrong@" not in str(refused.value)
        await link.close()
    link = Link(connector(locked.url.replace("://", "://:right@"), "test"))
    assert await link.within(SOON_S, link.command("GET", "k")) is None
    await link.close()
    async with locked.client(password="right") as client:
        await client.config_set("requirepass", "")


async def test_a_database_that_is_not_there_is_refused_with_the_remedy(
    start_server: Callable[..., RealServer], server: RealServer
) -> None:
    small = start_server(server.kind.name, tcp=True)
    link = Link(connector(f"{small.url.rstrip('/')}/99", "test"))
    with pytest.raises(RedisRefused, match=r"out of range.*the number of the database behind it"):
        await link.within(SOON_S, link.command("GET", "k"))
    await link.close()


async def test_a_password_that_worked_and_works_no_more_is_waited_for(
    start_server: Callable[..., RealServer], server: RealServer
) -> None:
    """What is under way was done, and only its record is missing: that is worth waiting for somebody to mend it."""
    locked = start_server(server.kind.name, tcp=True)
    link = Link(connector(locked.url, "test"))
    assert await link.command("GET", "k") is None
    async with locked.client() as client:
        await client.config_set("requirepass", "changed")
        await client.client_kill_filter(_type="normal", skipme=True)
        waiting = link.command("GET", "k")
        await asyncio.sleep(0.2)
        assert not waiting.done()
        await client.config_set("requirepass", "")
    async with asyncio.timeout(SOON_S):
        assert await waiting is None
        await link.close()
