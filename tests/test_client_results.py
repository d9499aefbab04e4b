"""Waiting for results from outside: ends of every sort, and every way in which the telling may break."""

from __future__ import annotations

import asyncio
import gc
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Any

import pytest

import durableq as dq
from durableq.engine.branch import install
from durableq.services import answers
from durableq.services.answers import Answers
from durableq.store.ends import Ends
from durableq.testing import TestEnv
from tests.by_hand import ByHand
from tests.durableq_command import REPOSITORY, environment
from tests.engine.world import World
from tests.servers import RealServer, on

real = on("redis7")

NOBODY = "0" * 26


def declared(url: str) -> dq.App:
    app = dq.App("shop", redis_url=url)

    @app.function("pays", triggers=[dq.EventTrigger("order/created")])
    async def pays(ctx: dq.Context) -> set[int]:
        return {1}

    @app.function("naps", triggers=[dq.EventTrigger("order/slow")])
    async def naps(ctx: dq.Context) -> int:
        await ctx.step.sleep("nap", "1h")
        return 7

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


@pytest.fixture
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """A round is a fifth of a second."""
    monkeypatch.setattr(answers, "ROUND_S", 0.2)


def answers_of(client: dq.Client) -> Answers:
    """What the running loop has."""
    return client._connections._opened[asyncio.get_running_loop()].answers


async def until(condition: Callable[[], Any], what: str) -> None:
    async with asyncio.timeout(10):
        while not condition():
            await asyncio.sleep(0.005)
    assert condition(), what


async def awaited(client: dq.Client, *handles: dq.RunHandle[Any]) -> list[asyncio.Task[Any]]:
    """Tasks that wait for these, once Redis has been asked for each."""
    tasks = [asyncio.create_task(handle.result()) for handle in handles]

    def asked() -> bool:
        if asyncio.get_running_loop() not in client._connections._opened:
            return False
        waiting = answers_of(client)._awaited
        return all(handle.run_id in waiting and waiting[handle.run_id].asked.done() for handle in handles)

    await until(asked, "asked for")
    return tasks


def connections(server: RealServer) -> int:
    """Those of clients."""
    with server.sync_client() as looking:
        return sum("client" in each["name"] for each in looking.client_list())


def blocked(server: RealServer) -> int:
    """Connections that wait in a blocking read."""
    with server.sync_client() as looking:
        return int(looking.info("clients")["blocked_clients"])


def scripts_called(server: RealServer) -> int:
    with server.sync_client() as looking:
        return int(looking.info("commandstats")["cmdstat_evalsha"]["calls"])


def commands(server: RealServer) -> int:
    with server.sync_client() as looking:
        return int(looking.info("stats")["total_commands_processed"])


# ---- ends


@real
async def test_a_result_comes_as_the_function_is_annotated_and_is_kept_by_the_handle(
    app: dq.App, worker: ByHand
) -> None:
    handle = await app.invoke(app.functions["pays"])
    await worker.complete(handle.run_id, value={1, 2})
    assert await handle.result() == {1, 2}
    await worker.calls.link.command("DEL", worker.calls.key("answer", handle.run_id))
    await worker.forget(handle.run_id)
    assert await handle.result() == {1, 2}


@real
async def test_none_is_a_result(app: dq.App, worker: ByHand) -> None:
    handle = await app.invoke("pays")
    (waiting,) = await awaited(app.client, handle)
    await worker.complete(handle.run_id)
    assert await waiting is None


@real
async def test_a_failure_has_name_message_stack_and_run(app: dq.App, worker: ByHand) -> None:
    handle = await app.invoke("pays")
    (waiting,) = await awaited(app.client, handle)
    await worker.fail(handle.run_id, error=ValueError("no money"))
    with pytest.raises(dq.RunFailed, match=f"run {handle.run_id} failed with ValueError: no money") as caught:
        await waiting
    assert (caught.value.name, caught.value.message, caught.value.run_id) == ("ValueError", "no money", handle.run_id)
    assert "ValueError: no money" in caught.value.stack
    with pytest.raises(dq.RunFailed):
        await handle.result()


@real
async def test_a_cancelled_run_says_by_what(app: dq.App, worker: ByHand) -> None:
    handle = await app.invoke("pays")
    (waiting,) = await awaited(app.client, handle)
    assert (await handle.cancel())[1:] == (True, "cancelled")
    with pytest.raises(dq.RunCancelled, match=f"run {handle.run_id} was cancelled: by a client"):
        await waiting


@real
async def test_a_result_that_is_not_there_in_time_names_run_and_state_and_may_be_asked_again(
    app: dq.App, worker: ByHand
) -> None:
    handle = await app.invoke("pays")
    for timeout, says in ((0, "has not ended: it is queued"), ("10ms", r"has not ended within 0.01 s: it is queued")):
        with pytest.raises(dq.ResultTimeout, match=f"run {handle.run_id} {says}"):
            await handle.result(timeout=timeout)
    await worker.claim()
    with pytest.raises(dq.ResultTimeout, match="it is running"):
        await handle.result(timeout=0)
    await worker.complete(handle.run_id, value=1)
    assert await handle.result(timeout=0) == 1, "0 only looks, and finds it"


@real
async def test_a_run_that_ends_while_its_time_runs_out_has_ended(
    app: dq.App, worker: ByHand, monkeypatch: pytest.MonkeyPatch
) -> None:
    handle = await app.invoke("pays")
    await worker.claim()
    look = Ends.state

    async def ends_before(ends: Ends, run_id: str) -> Any:
        await worker.complete(run_id, value=1)
        return await look(ends, run_id)

    monkeypatch.setattr(Ends, "state", ends_before)
    assert await handle.result(timeout=0) == 1


@real
@pytest.mark.parametrize("timeout", ["soon", -1, "367d", True])
async def test_a_timeout_that_is_none_is_refused(app: dq.App, worker: ByHand, timeout: Any) -> None:
    with pytest.raises(dq.ConfigError, match="result timeout"):
        await app.client.handle(NOBODY).result(timeout)


@real
async def test_a_run_that_is_not_there_is_said_so_by_each_verb(app: dq.App, worker: ByHand) -> None:
    handle = app.client.handle(NOBODY)
    for verb in (handle.result, handle.status, handle.cancel):
        with pytest.raises(dq.RunNotFound, match=NOBODY):
            await verb()
    with pytest.raises(dq.ConfigError, match="a run id is text"):
        app.client.handle(7)  # type: ignore[arg-type]


@real
async def test_the_status_of_a_run_is_told_at_each_stage(app: dq.App, worker: ByHand) -> None:
    handle = await app.invoke("pays")
    assert await handle.status() == "queued"
    await worker.claim()
    assert await handle.status() == "running"
    await worker.complete(handle.run_id)
    assert await handle.status() == "completed"


@real
async def test_another_client_has_a_handle_by_the_runs_id(app: dq.App, worker: ByHand) -> None:
    handle = await app.invoke("pays")
    async with dq.Client(app.client._connections.place.redis_url) as elsewhere:
        other = elsewhere.handle(handle.run_id)
        (waiting,) = await awaited(elsewhere, other)
        await worker.complete(handle.run_id, value=9)
        assert await waiting == await handle.result() == await elsewhere.handle(handle.run_id).result() == 9


@real
async def test_a_run_that_is_not_kept_has_a_result_all_the_same(app: dq.App, worker: ByHand) -> None:
    handle, late = await app.invoke("pays"), await app.invoke("pays")
    (waiting,) = await awaited(app.client, handle)
    await worker.complete(handle.run_id, late.run_id, value="gone")
    await worker.forget(handle.run_id, late.run_id)
    with pytest.raises(dq.RunNotFound):
        await app.client.runs.get(handle.run_id)
    assert await waiting == await app.client.handle(handle.run_id).result() == "gone"
    assert await late.result() == "gone", "for five minutes, since its invoker may ask"
    assert await late.status() == "completed"
    await worker.calls.link.command("DEL", worker.calls.key("answer", late.run_id))
    with pytest.raises(dq.RunNotFound):
        await app.client.handle(late.run_id).result()


# ---- many, and elsewhere


@real
async def test_a_thousand_handles_share_one_connection_and_ask_nothing_while_they_wait(
    server: RealServer, app: dq.App, worker: ByHand
) -> None:
    handles = await asyncio.gather(*(app.invoke("pays") for _ in range(1000)))
    before = scripts_called(server)
    tasks = await awaited(app.client, *handles)
    assert scripts_called(server) - before == 10, "they were asked for a hundred a call"
    await until(lambda: blocked(server) == 1, "it reads the stream")
    assert connections(server) == 2, "one that pipelines, one that blocks"
    quiet = commands(server)
    await asyncio.sleep(0.5)
    assert commands(server) - quiet <= 3, "the looking itself"
    claimed = [run for _ in range(10) for run in await worker.claim()]
    await worker.complete(*claimed, value="done")
    async with asyncio.timeout(10):
        assert await asyncio.gather(*tasks) == ["done"] * 1000
    assert answers_of(app.client)._awaited == {}


@real
async def test_many_may_wait_for_one_run(app: dq.App, worker: ByHand) -> None:
    handle = await app.invoke("pays")
    tasks = await awaited(app.client, *[app.client.handle(handle.run_id) for _ in range(50)])
    tasks.pop().cancel()
    await worker.complete(handle.run_id, value=3)
    assert await asyncio.gather(*tasks) == [3] * 49


@real
async def test_another_process_awaits_the_same_run(server: RealServer, app: dq.App, worker: ByHand) -> None:
    handle = await app.invoke("pays")
    code = (
        "import durableq as dq, sys; handle = dq.Client(sys.argv[1]).sync.handle(sys.argv[2]);"
        "print(handle.status(), flush=True); print(handle.result('20s'))"
    )
    other = subprocess.Popen(
        [sys.executable, "-c", code, server.url, handle.run_id],
        stdout=subprocess.PIPE,
        text=True,
        env=environment(),
        cwd=REPOSITORY,
    )
    assert other.stdout is not None
    assert await asyncio.to_thread(other.stdout.readline) == "queued\n"
    (waiting,) = await awaited(app.client, handle)
    await worker.complete(handle.run_id, value="for both")
    assert await waiting == "for both"
    assert (await asyncio.to_thread(other.communicate, timeout=20))[0] == "for both\n"
    assert other.returncode == 0


@real
def test_a_handle_outlives_its_loop(server: RealServer, app: dq.App) -> None:
    async def begin() -> dq.RunHandle[Any]:
        async with ByHand(server, app):
            handle = await app.invoke("pays")
            with pytest.raises(dq.ResultTimeout):
                await handle.result(timeout=0)
            return handle

    async def end(handle: dq.RunHandle[Any]) -> Any:
        async with ByHand(server, app) as worker:
            (waiting,) = await awaited(app.client, handle)
            await worker.complete(handle.run_id, value=5)
            assert len(app.client._connections._opened) == 1, "what belonged to the closed loop is gone"
            return await waiting

    handle = asyncio.run(begin())
    assert asyncio.run(end(handle)) == 5


@real
def test_nothing_is_logged_of_loops_that_are_over(server: RealServer, app: dq.App) -> None:
    """And what belonged to them is collected."""

    async def register() -> None:
        async with ByHand(server, app):
            pass

    asyncio.run(register())
    code = """
import asyncio, gc, sys
import durableq as dq

client = dq.Client(sys.argv[1])

async def ask():
    handle = await client.invoke("shop/pays")
    try:
        await handle.result(timeout="300ms")  # long enough for its connection to be there
    except dq.ResultTimeout:
        pass

for _ in range(3):
    asyncio.run(ask())
    gc.collect()
print(len(client._connections._opened))
"""
    done = subprocess.run(
        [sys.executable, "-W", "always::ResourceWarning", "-c", code, server.url],
        env=environment(), cwd=REPOSITORY, capture_output=True, text=True, timeout=30, check=False,
    )  # fmt: skip
    assert (done.stdout, done.stderr) == ("1\n", "")


@real
async def test_a_step_s_body_may_wait_and_what_waits_for_it_outlives_the_run(app: dq.App, worker: ByHand) -> None:
    """The reader is no branch of the run, so the end of a turn leaves it alone."""

    async def call() -> int:
        handle = await app.invoke("pays")
        ended: int = await handle.result()
        return ended

    async def calls(ctx: dq.Context) -> int:
        return await ctx.step.run("call", call)

    async def work() -> None:
        while True:
            for run in await worker.claim():
                await worker.complete(run, value=5)
            await asyncio.sleep(0.005)

    loop = asyncio.get_running_loop()
    previous = loop.get_task_factory()
    install(loop)
    working = asyncio.create_task(work())
    try:
        async with asyncio.timeout(10):
            assert await World(calls).finish_on_loop() == 5
            reader = answers_of(app.client)._reader
            assert await World(calls).finish_on_loop() == 5
            assert answers_of(app.client)._reader is reader
            assert reader is not None
            assert not reader.done()
    finally:
        loop.set_task_factory(previous)
        working.cancel()


# ---- leaving


@real
async def test_who_stops_waiting_leaves_nothing_behind(app: dq.App, worker: ByHand) -> None:
    handle = await app.invoke("pays")
    first, second = await awaited(app.client, handle, app.client.handle(handle.run_id))
    first.cancel()
    await asyncio.gather(first, return_exceptions=True)
    assert list(answers_of(app.client)._awaited) == [handle.run_id], "the other still waits"
    second.cancel()
    await asyncio.gather(second, return_exceptions=True)
    assert answers_of(app.client)._awaited == {}
    await worker.complete(handle.run_id, value=1)
    assert await handle.result() == 1


@real
@pytest.mark.usefixtures("hurried")
async def test_the_connection_is_closed_when_nothing_was_awaited_for_a_round_and_opened_again(
    server: RealServer, app: dq.App, worker: ByHand
) -> None:
    for value in (1, 2):
        handle = await app.invoke("pays")
        (waiting,) = await awaited(app.client, handle)
        await until(lambda: blocked(server) == 1, "it reads the stream")
        await worker.complete(handle.run_id, value=value)
        assert await waiting == value
        await until(lambda: connections(server) == 1, "gone")
    assert answers_of(app.client)._reader is None


@real
async def test_closing_the_client_tells_who_waits(server: RealServer, app: dq.App, worker: ByHand) -> None:
    handle = await app.invoke("pays")
    (waiting,) = await awaited(app.client, handle)
    await app.client.aclose()
    with pytest.raises(dq.RedisUnavailable, match="the client was closed while a run was awaited; the run goes on"):
        await waiting
    assert connections(server) == 0
    assert await handle.status() == "queued", "a later use opens another"


@real
async def test_nothing_is_logged_of_an_end_that_nobody_waits_for_any_more(app: dq.App, worker: ByHand) -> None:
    complaints: list[Any] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: complaints.append(context))
    handle = await app.invoke("pays")
    (waiting,) = await awaited(app.client, handle)
    waiting.cancel()
    await app.client.aclose()
    await asyncio.wait((waiting,))
    del waiting
    gc.collect()
    assert complaints == []


@real
async def test_closing_tells_plain_code_that_waits(app: dq.App, worker: ByHand) -> None:
    handle = await asyncio.to_thread(app.sync.invoke, "pays")
    waiting = asyncio.create_task(asyncio.to_thread(handle.result))
    (opened,) = app.client._connections._opened.values()
    await until(lambda: opened.answers._awaited, "it waits")
    await asyncio.to_thread(app.sync.close)
    with pytest.raises(dq.RedisUnavailable, match="closed"):
        await waiting


@real
def test_an_interrupt_ends_a_blocking_result_and_its_waiting(server: RealServer, app: dq.App) -> None:
    class Interrupted(Exception): ...

    def interrupt(*_: object) -> None:
        raise Interrupted

    async def register() -> None:
        async with ByHand(server, app):
            pass

    asyncio.run(register())
    handle = app.sync.invoke("pays")
    before = signal.signal(signal.SIGALRM, interrupt)
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.2)
        with pytest.raises(Interrupted):
            handle.result()
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    with pytest.raises(dq.ResultTimeout):
        handle.result(timeout=0)  # behind the cancellation, in the same loop
    (opened,) = app.client._connections._opened.values()
    assert opened.answers._awaited == {}


# ---- when things go wrong


@real
@pytest.mark.parametrize("what", ["killed", "restarted", "paused"])
async def test_an_outage_while_waiting_is_waited_out(
    start_server: Callable[..., RealServer], server: RealServer, what: str
) -> None:
    server = start_server("redis7")
    app = declared(server.url)
    async with ByHand(server, app) as worker:
        before, during = await app.invoke("pays"), await app.invoke("pays")
        tasks = await awaited(app.client, before, during)
        await worker.claim()
        if what == "killed":
            with server.sync_client() as looking:
                looking.client_kill_filter(_type="normal", skipme=True)
        elif what == "restarted":
            server.restart()
        else:
            server.pause()
            await asyncio.sleep(0.1)
            server.resume()
        await worker.complete(before.run_id, during.run_id, value=what)
        async with asyncio.timeout(10):
            assert await asyncio.gather(*tasks) == [what] * 2
    await app.client.aclose()


@real
async def test_what_ended_while_the_connection_was_away_is_found_after_the_reconnect(
    server: RealServer, app: dq.App, worker: ByHand
) -> None:
    handle = await app.invoke("pays")
    (waiting,) = await awaited(app.client, handle)
    await until(lambda: blocked(server) == 1, "it reads the stream")
    # Neither stream nor watchers, as of a Redis that came back older: only the look after the reconnect can find it.
    client = answers_of(app.client).client
    key = worker.calls.key
    await worker.calls.link.command("DEL", key("watchers", handle.run_id))
    await worker.claim()
    await worker.complete(handle.run_id, value="found")
    assert not waiting.done()
    assert int(await worker.calls.link.command("XLEN", key("answers", client))) == 1
    with server.sync_client() as looking:
        looking.client_kill_filter(_type="normal", skipme=True)
    async with asyncio.timeout(5):
        assert await waiting == "found"


@real
@pytest.mark.usefixtures("hurried")
async def test_a_hint_that_was_lost_costs_a_round_and_the_next_one_none(
    server: RealServer, app: dq.App, worker: ByHand, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As of a stream that begins again, lower: it had expired, and the server's clock was set back."""
    first, second = await app.invoke("pays"), await app.invoke("pays")
    tasks = await awaited(app.client, first, second)
    key, command = worker.calls.key("answers", answers_of(app.client).client), worker.calls.link.command
    await command("XADD", key, "99999999999999-1", "r", "")
    await until(lambda: blocked(server) == 1, "it has read that, and waits for what is behind")
    await command("DEL", key)
    await worker.complete(first.run_id, value=1)
    async with asyncio.timeout(10):
        assert await tasks[0] == 1
        monkeypatch.setattr(answers, "ROUND_S", 600)
        await worker.complete(second.run_id, value=2)
        assert await tasks[1] == 2


@real
@pytest.mark.usefixtures("hurried")
async def test_the_stream_is_kept_alive_while_anything_is_awaited(app: dq.App, worker: ByHand) -> None:
    handle = await app.invoke("pays")
    (waiting,) = await awaited(app.client, handle)
    key = worker.calls.key("answers", answers_of(app.client).client)
    await worker.calls.link.command("PEXPIRE", key, 600)

    async def lives() -> bool:
        return int(await worker.calls.link.command("PTTL", key)) > 200_000

    async with asyncio.timeout(5):
        while not await lives():
            await asyncio.sleep(0.01)
    await worker.complete(handle.run_id)
    await waiting


@real
async def test_a_namespace_that_is_lost_ends_every_wait(server: RealServer, app: dq.App, worker: ByHand) -> None:
    handles = [await app.invoke("pays") for _ in range(3)]
    tasks = await awaited(app.client, *handles)
    await until(lambda: blocked(server) == 1, "it reads the stream")
    server.flush()  # which breaks every connection, too
    async with asyncio.timeout(10):
        for ended in await asyncio.gather(*tasks, return_exceptions=True):
            assert isinstance(ended, dq.StateLost)


@real
async def test_a_run_that_redis_has_forgotten_ends_its_wait(server: RealServer, app: dq.App, worker: ByHand) -> None:
    """As after a failover that lost the last second."""
    handle = await app.invoke("pays")
    (waiting,) = await awaited(app.client, handle)
    await until(lambda: blocked(server) == 1, "it reads the stream")
    for name, argument in (("run", handle.run_id), ("input", handle.run_id), ("ready", "shop/pays")):
        await worker.calls.link.command("DEL", worker.calls.key(name, argument))
    with server.sync_client() as looking:
        looking.client_kill_filter(_type="normal", skipme=True)
    with pytest.raises(dq.RunNotFound, match=handle.run_id):
        async with asyncio.timeout(10):
            await waiting


async def test_a_redis_that_does_not_answer_the_first_look_is_said_to_be_away(
    start_server: Callable[..., RealServer],
) -> None:
    server = start_server("redis7")
    app = declared(server.url)
    async with ByHand(server, app):
        handle = await app.invoke("pays")
        server.pause()
        with pytest.raises(dq.RedisUnavailable, match="did not answer within 1 s"):
            await handle.result(timeout="500ms")
        server.resume()
        with pytest.raises(dq.ResultTimeout):
            await handle.result(timeout=0)
        (waiting,) = await awaited(app.client, handle)
        server.pause()
        with pytest.raises(dq.ResultTimeout, match="Redis does not answer"):
            await app.client.handle(handle.run_id).result(timeout="300ms")
        server.resume()
        waiting.cancel()
    await app.client.aclose()


# ---- in tests of users


def test_a_result_in_a_test_environment_never_hangs() -> None:
    app = declared("redis://127.0.0.1:1")
    with TestEnv(app) as env:
        handle = app.sync.invoke("pays")
        with pytest.raises(dq.ResultTimeout, match=r"env\.run_until_idle"):
            handle.result()
        env.run_until_idle()
        assert handle.result() == {1}
        asleep = app.sync.invoke("naps")
        env.run_until_idle()
        with pytest.raises(dq.ResultTimeout, match=r"it is waiting.*env\.advance"):
            asleep.result(timeout="30s")
        env.advance("1h")
        assert asleep.result() == 7
    app.sync.close()


async def test_an_awaited_result_in_a_test_environment_never_hangs() -> None:
    app = declared("redis://127.0.0.1:1")

    async def ended(given: Awaitable[Any]) -> Any:
        async with asyncio.timeout(10):
            return await given

    async with TestEnv(app) as env:
        asleep = await app.invoke(app.functions["naps"])
        with pytest.raises(dq.ResultTimeout, match=r"env\.advance"):
            await ended(asleep.result())
        await env.advance("1h")
        assert await ended(asleep.result()) == 7
        assert await ended(app.client.handle(asleep.run_id).result()) == 7
