"""Cancelling and signalling from outside."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest

import durableq as dq
from durableq.services.cancelling import Cancellation
from tests.by_hand import ByHand
from tests.servers import RealServer, on

real = on("redis7")

NOBODY = "0" * 26


@pytest.fixture
def app(server: RealServer) -> Iterator[dq.App]:
    """Its blocking connection is closed at the end."""
    app = dq.App("shop", redis_url=server.url)

    @app.function("pays", triggers=[dq.EventTrigger("order/created")])
    async def pays(ctx: dq.Context) -> int:
        return 1

    yield app
    app.sync.close()


@pytest.fixture
async def worker(server: RealServer, app: dq.App) -> AsyncIterator[ByHand]:
    async with ByHand(server, app) as worker:
        yield worker
    await app.client.aclose()


@real
async def test_each_run_is_told_what_became_of_it(app: dq.App, worker: ByHand) -> None:
    done, running = await app.invoke("pays"), await app.invoke("pays")
    await worker.complete(done.run_id)
    queued = await app.invoke("pays")
    assert await app.cancel([queued.run_id, running.run_id, done.run_id, queued.run_id]) == [
        Cancellation(queued.run_id, True, "cancelled"),
        Cancellation(running.run_id, True, "cancelled"),
        Cancellation(done.run_id, False, "completed"),
        Cancellation(queued.run_id, True, "cancelled"),
    ]
    assert await app.client.cancel(queued.run_id) == Cancellation(queued.run_id, False, "cancelled")
    assert await worker.claim() == []


@real
async def test_plain_code_cancels_likewise(app: dq.App, worker: ByHand) -> None:
    handle = await asyncio.to_thread(app.sync.invoke, "pays")
    assert await asyncio.to_thread(app.sync.cancel, [handle.run_id]) == [Cancellation(handle.run_id, True, "cancelled")]
    assert await asyncio.to_thread(handle.cancel) == (handle.run_id, False, "cancelled")
    with pytest.raises(dq.RunCancelled):
        await asyncio.to_thread(handle.result)


@real
async def test_runs_that_are_not_there_are_named_and_the_others_cancelled(app: dq.App, worker: ByHand) -> None:
    handle = await app.invoke("pays")
    with pytest.raises(dq.RunNotFound, match=f"no run '{NOBODY}', 'nonsense' in .* The other 1 was seen to"):
        await app.cancel([NOBODY, handle.run_id, "nonsense"])
    assert await handle.status() == "cancelled"
    with pytest.raises(dq.RunNotFound, match=f"no run '{NOBODY}' in namespace 'default': never there, or its"):
        await app.cancel(NOBODY)


@real
async def test_hundreds_are_cancelled_in_one_call(app: dq.App, worker: ByHand) -> None:
    handles = await asyncio.gather(*(app.invoke("pays") for _ in range(250)))
    done = await app.cancel([handle.run_id for handle in handles])
    assert [one.run_id for one in done] == [handle.run_id for handle in handles]
    assert all(one.cancelled for one in done)
    assert await app.cancel([]) == []


@real
async def test_what_hung_on_a_run_is_taken_away_at_once(app: dq.App, worker: ByHand) -> None:
    handle = await app.invoke("pays")
    await worker.put_to_sleep(handle.run_id)
    timers, void = worker.calls.key("timers"), worker.calls.key("void")
    assert await worker.calls.link.command("ZCARD", timers) == 1
    await handle.cancel()
    assert await worker.calls.link.command("ZCARD", timers) == 0, "no scheduler is there to do it"
    assert await worker.calls.link.command("EXISTS", void) == 0


@pytest.mark.parametrize(
    ("runs", "says"),
    [(7, "a run id or a list of them, not int"), ([7], "not int: 7"), (b"x", "not bytes"), ({"a": 1}, "not dict")],
)
async def test_what_is_no_run_id_is_refused_before_anything_is_asked(runs: Any, says: str) -> None:
    with pytest.raises(dq.ConfigError, match=says):
        await dq.Client("redis://127.0.0.1:1").cancel(runs)


@real
async def test_a_signal_that_nobody_waits_for_reaches_nobody(app: dq.App, worker: ByHand) -> None:
    assert await app.client.send_signal("approve", {"by": "me"}) is None
    assert await asyncio.to_thread(app.sync.send_signal, "approve") is None


@pytest.mark.parametrize(
    ("signal", "data", "error", "says"),
    [
        ("", None, dq.ConfigError, "signal must have 1 to 256 characters"),
        (7, None, dq.ConfigError, "signal must be a string"),
        ("approve", object(), dq.CodecError, "signal 'approve': its data"),
        ("approve", "x" * 5_000_000, dq.LimitExceeded, "signal 'approve': its data .* limits.step_result_bytes"),
    ],
)
async def test_a_signal_that_cannot_be_given_is_refused_before_anything_is_asked(
    signal: Any, data: Any, error: type[Exception], says: str
) -> None:
    with pytest.raises(error, match=says):
        await dq.Client("redis://127.0.0.1:1").send_signal(signal, data)


async def test_a_frozen_redis_is_told_within_two_seconds_and_to_cancel_again_is_safe(
    start_server: Callable[..., RealServer],
) -> None:
    server = start_server("redis7")
    app = dq.App("shop", redis_url=server.url)
    app.function("pays", triggers=[dq.EventTrigger("a/b")])(pays)
    async with ByHand(server, app):
        handle = await app.invoke("pays")
        server.pause()
        async with asyncio.timeout(4):
            cancelled, signalled = await asyncio.gather(
                handle.cancel(), app.client.send_signal("approve"), return_exceptions=True
            )
        assert isinstance(cancelled, dq.RedisUnavailable)
        assert "did not answer within" in str(cancelled)
        assert isinstance(signalled, dq.RedisUnavailable)
        assert "signal 'approve' may have been given" in str(signalled)
        server.resume()
        assert (await handle.cancel()).status == "cancelled"
    await app.client.aclose()


async def pays(ctx: dq.Context) -> int:
    return 1
