"""The client: loops, threads, forks; sending, and what is said when it does not work."""

import asyncio
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import durableq as dq
from durableq.engine.branch import install
from durableq.model.config import URL_VARIABLES
from durableq.sync import Portal
from tests.engine.world import World
from tests.servers import RealServer, on

real = on("redis7")


def event(number: int = 0, **fields: Any) -> dq.Event:
    return dq.Event("order/created", {"n": number}, **fields)


@pytest.fixture
def make_app() -> Iterator[Callable[[RealServer], dq.App]]:
    """Apps whose blocking connections are closed at the end."""
    made: list[dq.App] = []

    def make(server: RealServer) -> dq.App:
        made.append(dq.App("shop", redis_url=server.url))
        return made[-1]

    yield make
    for app in made:
        app.sync.close()


def stored(server: RealServer) -> int:
    with server.sync_client() as client:
        return int(client.xlen("dq:{default:0}:events"))


@real
def test_send_works_from_one_loop_after_another(server: RealServer, make_app: Callable[[RealServer], dq.App]) -> None:
    app = make_app(server)
    for number in range(3):
        assert len(asyncio.run(app.send(event(number)))) == 1
    assert stored(server) == 3


@real
def test_send_sync_works_from_many_threads(server: RealServer, make_app: Callable[[RealServer], dq.App]) -> None:
    app = make_app(server)
    errors: list[BaseException] = []

    def work() -> None:
        try:
            for number in range(20):
                app.send_sync(event(number))
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=work) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert errors == []
    assert stored(server) == 100


@real
def test_send_sync_works_after_a_fork(server: RealServer, make_app: Callable[[RealServer], dq.App]) -> None:
    app = make_app(server)
    app.send_sync(event(1))
    pid = os.fork()
    if pid == 0:
        try:
            app.send_sync(event(2))
            os._exit(0)
        except BaseException:
            os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    app.send_sync(event(3))
    assert stored(server) == 3


@real
async def test_a_blocking_call_inside_a_loop_names_await(
    server: RealServer, make_app: Callable[[RealServer], dq.App]
) -> None:
    app = make_app(server)
    with pytest.raises(dq.SyncInLoop, match=r"await app\.send"):
        app.send_sync(event())
    with pytest.raises(dq.SyncInLoop, match=r"await client\.send"):
        app.client.sync.send(event())
    with pytest.raises(dq.SyncInLoop, match=r"await client\.runs\.get"):
        app.sync.runs.get("x")
    assert stored(server) == 0


@real
async def test_an_id_is_accepted_once_per_name(server: RealServer) -> None:
    async with dq.Client(server.url) as client:
        assert await client.send([event(id="a"), event(id="a"), dq.Event("order/paid", id="a")]) == ["a", "a", "a"]
        assert await client.send(event(id="a")) == ["a"]
    assert stored(server) == 2


@real
async def test_five_thousand_events_are_sent_at_once_and_no_more(server: RealServer) -> None:
    async with dq.Client(server.url) as client:
        assert len(set(await client.send([event(n) for n in range(5000)]))) == 5000
        with pytest.raises(dq.LimitExceeded, match=r"5,?001"):
            await client.send([event(n) for n in range(5001)])
        assert await client.send([]) == []
    assert stored(server) == 5000


@real
async def test_a_bad_event_refuses_the_whole_send(server: RealServer) -> None:
    async with dq.Client(server.url) as client:
        with pytest.raises(dq.EventError, match="reserved"):
            await client.send([event(), dq.Event("durableq/function.failed")])
        with pytest.raises(dq.EventError, match="list"):
            await client.send({"name": "x"})  # type: ignore[arg-type]
        with pytest.raises(dq.LimitExceeded):
            await client.send(dq.Event("big", {"x": "y" * 600_000}))
    assert stored(server) == 0


async def test_an_unreachable_redis_fails_within_two_seconds_and_says_not_sent() -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]
    async with dq.Client(f"redis://127.0.0.1:{port}") as client:
        started = time.monotonic()
        with pytest.raises(dq.SendError, match="not reachable") as caught:
            await client.send([event(1), event(2)])
        assert time.monotonic() - started < 2.5
    assert len(caught.value.not_sent) == 2
    assert caught.value.unknown == caught.value.sent == []


async def test_a_redis_that_nobody_named_is_told_with_how_to_name_one(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in URL_VARIABLES:
        monkeypatch.delenv(name, raising=False)
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        nowhere = f"redis://127.0.0.1:{closed.getsockname()[1]}"
    monkeypatch.setattr("durableq.connections.DEFAULT_URL", nowhere)
    monkeypatch.setattr("durableq.model.config.DEFAULT_URL", nowhere)
    async with dq.Client() as client:
        with pytest.raises(dq.SendError, match=r"Nobody named a Redis, so .* was tried: set DURABLEQ_URL"):
            await client.send(event(1))
    async with dq.Client(nowhere) as client:
        with pytest.raises(dq.SendError) as caught:
            await client.send(event(1))
    assert "Nobody named" not in str(caught.value)


async def test_a_frozen_redis_fails_within_two_seconds_and_says_unknown_and_a_resend_starts_nothing_twice(
    start_server: Callable[..., RealServer],
) -> None:
    server = start_server("redis7")
    async with dq.Client(server.url) as client:
        await client.send(event(0))
        server.pause()
        started = time.monotonic()
        with pytest.raises(dq.SendError, match="did not answer") as caught:
            await client.send(event(1))
        assert time.monotonic() - started < 2.5
        server.resume()
        assert len(caught.value.unknown) == 1
        await client.send(caught.value.unknown)
    assert stored(server) == 2


@real
async def test_a_flushed_redis_is_told_from_the_one_that_was_known(server: RealServer) -> None:
    async with dq.Client(server.url) as client:
        await client.send(event())
        server.flush()
        with pytest.raises(dq.StateLost, match="none now"):
            await client.send(event())


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("http://localhost", "must begin with"),
        ("redis+cluster://a,b", "not supported yet"),
        ("redis+sentinel://a/b", "not supported yet"),
        ("redis://localhost/zero", "must be a number"),
        ("redis://localhost:99999", "not a URL"),
        ("redis://", "no host"),
        ("unix://", "no socket"),
        ("redis://localhost?durability=fsync", "not supported yet"),
        ("redis://:secret@localhost/x", r"\*\*\*"),
    ],
)
async def test_a_bad_url_is_refused_and_its_password_not_shown(url: str, says: str) -> None:
    with pytest.raises(dq.ConfigError, match=says) as caught:
        await dq.Client(url).send(event())
    assert "secret" not in str(caught.value)


@real
async def test_an_unknown_run_and_status_are_named(server: RealServer) -> None:
    async with dq.Client(server.url) as client:
        with pytest.raises(dq.RunNotFound, match="01J"):
            await client.runs.get("01J")
        with pytest.raises(dq.ConfigError, match="'done'"):
            await client.runs.list(status="done")
        with pytest.raises(dq.ConfigError, match="limit"):
            await client.runs.list(limit=0)
        assert await client.runs.list() == []
        assert await client.functions() == []


@real
async def test_a_client_first_used_in_a_functions_own_code_outlives_the_run(server: RealServer) -> None:
    """Its connection is no branch of the run, so the end of a turn leaves it alone."""
    client = dq.Client(server.url)

    async def sends_between_steps(ctx: dq.Context) -> int:
        await ctx.step.run("first", lambda: 1)
        await client.send(event(1))
        await ctx.step.sleep("pause", "10ms")
        await client.send(event(2))
        return await ctx.step.run("last", lambda: 2)

    loop = asyncio.get_running_loop()
    previous = loop.get_task_factory()
    install(loop)
    try:
        async with asyncio.timeout(10):
            for run in (1, 2):
                world = World(sends_between_steps)
                assert await world.finish_on_loop() == 2
                assert world.executions > 1, "the first turn ended, and with it its branches"
                assert stored(server) >= run * 3
            await client.send(event(3))
    finally:
        loop.set_task_factory(previous)
        await client.aclose()


@real
async def test_a_client_that_somebody_holds_follows_its_app_to_another_redis(
    server: RealServer, start_server: Callable[..., RealServer]
) -> None:
    other = start_server("redis7")
    app = dq.App("shop", redis_url=server.url)
    client, blocking = app.client, app.sync
    await client.send(event())
    await asyncio.to_thread(blocking.send, event())
    app.connect_to(other.url, "default")
    assert app.client is client
    await client.send(event())
    await asyncio.to_thread(blocking.send, event())
    assert (stored(server), stored(other)) == (2, 2)
    await client.aclose()
    with other.sync_client() as looking:
        assert len(looking.client_list(_type="normal")) == 1, "nothing but this one"


async def test_closing_ends_a_send_that_waits_for_its_connection() -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        client = dq.Client(f"redis://127.0.0.1:{silent.getsockname()[1]}")
        sending = asyncio.create_task(client.send(event()))
        await asyncio.sleep(0.05)
        await client.aclose()
        with pytest.raises(dq.SendError, match="closed"):
            await sending


def test_closing_ends_a_blocking_call_under_way() -> None:
    portal = Portal()
    begun = threading.Event()
    ended: list[BaseException] = []

    async def hang() -> None:
        begun.set()
        await asyncio.sleep(60)

    def call() -> None:
        try:
            portal.run("hang()", hang())
        except BaseException as error:
            ended.append(error)

    thread = threading.Thread(target=call)
    thread.start()
    assert begun.wait(5)
    portal.close()
    thread.join(5)
    assert [type(error) for error in ended] == [dq.RedisUnavailable]
    assert "closed" in str(ended[0])


def test_closing_waits_for_a_blocking_call_that_is_being_scheduled(monkeypatch: pytest.MonkeyPatch) -> None:
    portal = Portal()
    schedule = asyncio.run_coroutine_threadsafe
    closing = threading.Thread(target=portal.close)

    def schedule_late(*given: Any) -> Any:
        closing.start()
        closing.join(0.1)
        return schedule(*given)

    monkeypatch.setattr(asyncio, "run_coroutine_threadsafe", schedule_late)
    with pytest.raises(dq.RedisUnavailable, match="closed"):
        portal.run("asyncio.sleep(60)", asyncio.sleep(60))
    closing.join(5)
    assert not closing.is_alive()
