"""Invoking from outside: what a run is started with, and what is said when it cannot be."""

from __future__ import annotations

import asyncio
import os
import socket
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest

import durableq as dq
from durableq.store.upkeep import Upkeep
from durableq.testing import TestEnv
from durableq.words.ids import is_run_id
from tests.by_hand import ByHand
from tests.servers import RealServer, on

real = on("redis7")


@dataclass
class Wanted:
    n: int


@dataclass
class Receipt:
    total: int


def declared(url: str) -> dq.App:
    app = dq.App("shop", redis_url=url)

    @app.function("pays", triggers=[dq.EventTrigger("order/created")])
    async def pays(ctx: dq.Context) -> Receipt:
        return Receipt(ctx.event.data.get("n", 0))

    @app.function("packs", triggers=[dq.EventTrigger("order/packed")])
    def packs(ctx: dq.SyncContext[Wanted]) -> int:
        return ctx.event.data.n

    @app.function(
        "ships",
        triggers=[dq.EventTrigger("order/shipped")],
        cancel_on=dq.CancelOn("order/cancelled", if_="event.data.id == async.data.id"),
        timeouts=dq.Timeouts(start="1h"),
    )
    async def ships(ctx: dq.Context) -> None: ...

    return app


@pytest.fixture
def app(server: RealServer) -> Iterator[dq.App]:
    """Its blocking connection is closed at the end."""
    app = declared(server.url)
    yield app
    app.sync.close()


@pytest.fixture
async def worker(server: RealServer, app: dq.App) -> AsyncIterator[ByHand]:
    async with ByHand(server, app) as worker:
        yield worker
    await app.client.aclose()


@real
async def test_a_run_is_started_with_the_callers_data_under_an_id_that_is_known_at_once(
    app: dq.App, worker: ByHand
) -> None:
    handle = await app.invoke(app.functions["pays"], data={"n": 3})
    assert is_run_id(handle.run_id)
    assert handle.run_id in repr(handle)
    run = await app.client.runs.get(handle.run_id)
    assert (run.function, run.status) == ("shop/pays", "queued")
    assert run.event is not None
    assert (run.event.name, run.event.id, run.event.data) == ("durableq/function.invoked", handle.run_id, {"n": 3})
    assert await worker.claim() == [handle.run_id]


@real
async def test_a_function_is_named_by_itself_by_its_full_id_or_by_its_short_one_in_its_app(
    app: dq.App, worker: ByHand
) -> None:
    handles = [
        await app.invoke(app.functions["pays"]),
        await app.invoke("pays"),
        await app.invoke("shop/pays"),
        await app.client.invoke("shop/pays"),
        await app.client.invoke(app.functions["pays"]),
    ]
    assert sorted(await worker.claim()) == sorted({handle.run_id for handle in handles})
    for handle in handles:
        await worker.complete(handle.run_id, value={"total": 5})
    given = [await handle.result() for handle in handles]
    assert given == [Receipt(5), {"total": 5}, {"total": 5}, {"total": 5}, Receipt(5)], "typed, where the type is known"


@real
async def test_what_the_declaration_asks_for_is_there_from_the_start(app: dq.App, worker: ByHand) -> None:
    handle = await app.invoke("ships", data={"id": 7})
    command, key = worker.calls.link.command, worker.calls.key
    assert await command("LLEN", key("listens", handle.run_id)) == 1, "it may be cancelled by an event"
    assert await command("ZSCORE", key("timers"), f"b {handle.run_id}") is not None, "it must begin within an hour"
    assert (await handle.cancel()).cancelled
    assert await command("ZCARD", key("timers")) == 0


@real
async def test_each_call_starts_a_run_of_its_own(app: dq.App, worker: ByHand) -> None:
    handles = await asyncio.gather(*(app.invoke("pays", data={"n": n}) for n in range(250)))
    claimed = [run for _ in range(3) for run in await worker.claim()]
    assert sorted(claimed) == sorted({handle.run_id for handle in handles})


@real
async def test_a_call_whose_reply_was_lost_has_started_one_run(server: RealServer, app: dq.App, worker: ByHand) -> None:
    await app.invoke("pays")
    await worker.claim()
    server.pause()
    invoking = asyncio.create_task(app.invoke("pays"))
    await asyncio.sleep(0)  # into the socket of a server that does not read it yet
    for _ in range(20):
        await asyncio.sleep(0.005)
    server.resume()
    with server.sync_client() as client:
        client.client_kill_filter(_type="normal", skipme=True)
    handle = await invoking
    assert await worker.claim() == [handle.run_id]


@real
@pytest.mark.parametrize(
    ("function", "says"),
    [
        ("pay", "'shop/pay' is registered in namespace 'default': was 'shop/pays' meant"),
        ("shop/refunds-money", "durableq sync"),
        ("shp/pays", "was 'shop/pays' meant"),
    ],
)
async def test_an_unknown_function_is_said_at_once_with_the_one_that_was_meant(
    app: dq.App, worker: ByHand, function: str, says: str
) -> None:
    with pytest.raises(dq.FunctionNotFound, match=says):
        await app.invoke(function)
    assert await worker.claim() == []


@real
async def test_a_function_that_nobody_has_registered_is_said_to_be_so(server: RealServer, app: dq.App) -> None:
    with pytest.raises(dq.FunctionNotFound, match="start a worker that has it"):
        await app.invoke(app.functions["pays"])
    await app.client.aclose()


def plain(ctx: dq.Context) -> None: ...


@pytest.mark.parametrize(
    ("function", "says"),
    [
        (plain, r"put `@app.function\(…\)` above plain"),
        (None, "takes a function or its id, not NoneType"),
        ("shop/Pays", "'pays' would do"),
        ("Shop/pays", "'shop' would do"),
        ("shop/pays/x", "function id"),
        ("shop/pays:on-failure", "which only a failure starts"),
        ("", "function id"),
    ],
)
async def test_what_is_no_function_is_refused_before_anything_is_asked(function: Any, says: str) -> None:
    with pytest.raises(dq.ConfigError, match=says):
        await declared("redis://127.0.0.1:1").invoke(function)


async def test_a_client_wants_full_ids() -> None:
    with pytest.raises(dq.ConfigError, match="full id, app/function, not 'pays'"):
        await dq.Client("redis://127.0.0.1:1").invoke("pays")


@pytest.mark.parametrize(
    ("data", "error", "says"),
    [
        ([1], dq.EventError, "invoke of shop/packs: data must be a mapping"),
        ({"n": object()}, dq.EventError, "invoke of shop/packs: data.n is of type object"),
        (None, dq.EventError, "data has no n, which Wanted needs"),
        ({"n": 1, "more": "x" * 600_000}, dq.LimitExceeded, "limits.event_bytes"),
    ],
)
async def test_data_that_cannot_be_taken_is_refused_at_the_call(data: Any, error: type[Exception], says: str) -> None:
    app = declared("redis://127.0.0.1:1")
    with pytest.raises(error, match=says):
        await app.invoke(app.functions["packs"], data=data)


@real
async def test_typed_data_travels_as_a_map(app: dq.App, worker: ByHand) -> None:
    handle = await app.invoke(app.functions["packs"], data=Wanted(7))
    run = await app.client.runs.get(handle.run_id)
    assert run.event is not None
    assert run.event.data == {"n": 7}


async def test_an_unreachable_redis_fails_within_two_seconds_and_says_that_nothing_was_started() -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]
    async with dq.Client(f"redis://127.0.0.1:{port}") as client:
        started = time.monotonic()
        with pytest.raises(dq.InvokeError, match=r"not reachable.*the run was not started") as caught:
            await client.invoke("shop/pays")
        assert time.monotonic() - started < 2.5
    assert not caught.value.maybe_started


async def test_a_frozen_redis_fails_within_two_seconds_and_the_handle_tells_whether_the_run_was_started(
    start_server: Callable[..., RealServer],
) -> None:
    server = start_server("redis7")
    app = declared(server.url)
    async with ByHand(server, app) as worker:
        await worker.complete((await app.invoke("pays")).run_id)
        server.pause()
        began = time.monotonic()
        with pytest.raises(dq.InvokeError, match="may have been started") as caught:
            await app.invoke("pays")
        assert time.monotonic() - began < 2.5
        server.resume()
        assert caught.value.maybe_started
        handle = app.client.handle(caught.value.run_id)
        assert await handle.status() == "queued"
        await worker.complete(handle.run_id, value=1)
        assert await handle.result() == 1
    await app.client.aclose()


@real
async def test_a_full_redis_refuses_new_runs(app: dq.App, worker: ByHand) -> None:
    await Upkeep(worker.calls).set_gate(0.9, prunable=False)
    with pytest.raises(dq.QueueFull):
        await app.invoke("pays")


@real
async def test_a_blocking_call_inside_a_loop_names_await(server: RealServer, app: dq.App, worker: ByHand) -> None:
    with pytest.raises(dq.SyncInLoop, match=r"await app\.invoke"):
        app.sync.invoke("pays")
    with pytest.raises(dq.SyncInLoop, match=r"await client\.invoke"):
        app.client.sync.invoke("shop/pays")
    handle = await asyncio.to_thread(app.sync.invoke, "pays")
    with pytest.raises(dq.SyncInLoop, match=r"await handle\.result"):
        handle.result()
    with pytest.raises(dq.SyncInLoop, match=r"await client\.cancel"):
        app.sync.cancel(handle.run_id)
    with pytest.raises(dq.SyncInLoop, match=r"await client\.send_signal"):
        app.sync.send_signal("x")


@real
async def test_plain_code_invokes_from_many_threads(app: dq.App, worker: ByHand) -> None:
    process_order = app.functions["pays"]
    results: list[Any] = []

    def work(n: int) -> None:
        results.append(app.sync.invoke(process_order, data={"n": n}).result(timeout="30s"))

    threads = [threading.Thread(target=work, args=(n,)) for n in range(10)]
    for thread in threads:
        thread.start()
    ended = 0
    async with asyncio.timeout(20):
        while ended < 10:
            for run in await worker.claim():
                await worker.complete(run, value={"total": ended})
                ended += 1
            await asyncio.sleep(0.005)
    for thread in threads:
        await asyncio.to_thread(thread.join, 10)
    assert sorted(result.total for result in results) == list(range(10))


@real
async def test_plain_code_invokes_after_a_fork(app: dq.App, worker: ByHand) -> None:
    first = await asyncio.to_thread(app.sync.invoke, "pays")

    def forked() -> int:
        pid = os.fork()
        if pid == 0:
            try:
                second = app.sync.invoke("pays")
                ok = (second.result(timeout=20), first.result(timeout=20)) == (2, 1)
                os._exit(0 if ok else 2)
            except BaseException:
                os._exit(1)
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])

    waiting = asyncio.create_task(asyncio.to_thread(forked))
    ended = 0
    async with asyncio.timeout(30):
        while ended < 2:
            for run in await worker.claim():
                ended += 1
                await worker.complete(run, value=ended)
            await asyncio.sleep(0.005)
        assert await waiting == 0
    assert await asyncio.to_thread(first.result) == 1, "here too: its own connection is as it was"


@real
async def test_a_function_of_the_code_is_stood_in_for_by_its_registration_alone(app: dq.App, worker: ByHand) -> None:
    async with dq.Client(app.client._connections.place.redis_url) as client:
        handle = await client.invoke("shop/pays", data={"n": 1})
        await worker.complete(handle.run_id, value="done")
        assert await handle.result("5s") == "done"
        assert await handle.status() == "completed"


async def test_a_test_environment_never_hangs_in_a_result() -> None:
    app = declared("redis://127.0.0.1:1")
    async with TestEnv(app) as env:
        handle = await app.invoke(app.functions["pays"], data={"n": 4})
        async with asyncio.timeout(10):
            await env.run_until_idle()
            assert await handle.result() == Receipt(4)
