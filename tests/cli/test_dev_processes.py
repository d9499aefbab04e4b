"""`durableq dev` among other processes: a second one, one that is killed, and a production Redis that it must not touch."""

from __future__ import annotations

import os
import signal
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.dev_project import Dev, children_of, lives
from tests.cli.test_dev_reload import ready_again
from tests.durableq_command import durableq, environment, until

pytestmark = pytest.mark.acceptance

APP = """
import durableq as dq
app = dq.App("demo")
beside = dq.App("beside")

@app.function("echo", triggers=[dq.EventTrigger("demo/echo")])
async def echo(ctx):
    return ctx.event.data["say"]

async def send():
    async with dq.Client() as client:
        return await client.send(dq.Event("demo/echo", {"say": 1}))

@app.function("sends", triggers=[dq.EventTrigger("demo/send")])
async def sends(ctx):
    await ctx.step.run("beside", beside.send, dq.Event("demo/echo", {"say": 2}))
    return await ctx.step.run("client", send)

@app.function("spins", triggers=[dq.EventTrigger("demo/spin")])
async def spins(ctx):
    ctx.logger.info("spinning")
    while True:
        pass
"""


@pytest.fixture
def dev(elsewhere: Path) -> Iterator[Dev]:
    (elsewhere / "apps.py").write_text(APP)
    made = Dev(elsewhere)
    yield made
    made.close()


class Production:
    """Takes connections, as a Redis would, and counts them."""

    def __init__(self) -> None:
        self.connections = 0
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.url = f"redis://127.0.0.1:{self._socket.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                self._socket.accept()[0].close()
            except OSError:
                return
            self.connections += 1

    def close(self) -> None:
        self._socket.close()


@pytest.fixture
def production() -> Iterator[Production]:
    made = Production()
    yield made
    made.close()


def test_a_production_redis_in_the_environment_is_never_touched(dev: Dev, production: Production) -> None:
    names = ("DURABLEQ_URL", "REDIS_TLS_URL", "REDIS_URL", "VALKEY_URL")
    running = dev.start("apps:app", **dict.fromkeys(names, production.url))
    assert f"--redis-url unix://{dev.socket}" in running.says("durableq send")
    # Also clients that user code makes for itself, and workers that begin later.
    for times in (1, 2):
        (sent,) = dev.result_of("demo/send")  # type: ignore[misc]
        assert dev.wait_for(sent) == 1
        dev.write(APP + "#" * times)
        ready_again(running, times)
    running.signal(signal.SIGTERM)
    assert running.ends() == 0
    assert production.connections == 0
    # The trap is a real one: whoever looks at the variables does connect.
    durableq("functions", cwd=dev.directory, env=environment(REDIS_URL=production.url))
    assert production.connections > 0


def test_two_terminals_share_one_server_and_the_last_one_ends_it(dev: Dev) -> None:
    one = dev.start("apps:app")
    one.says("durableq send")
    two = dev.start("apps:app")
    assert f"shared with another `durableq dev` (process {one.pid})" in two.says("durableq send")
    one.signal(signal.SIGTERM)
    assert one.ends() == 0
    assert "the server goes on" in one.output
    assert dev.result_of("demo/echo", '{"say": 1}') == 1
    two.signal(signal.SIGTERM)
    assert two.ends() == 0
    assert not dev.socket.exists()
    assert not dev.url_file.exists()


def test_after_kill_9_no_worker_stays_and_the_next_one_adopts_the_server(dev: Dev) -> None:
    running = dev.start("apps:app")
    running.says("durableq send")
    children = children_of(running.pid)
    assert len(children) == 2  # the server and a worker's child
    os.kill(running.pid, signal.SIGKILL)
    assert running.ends() == -signal.SIGKILL
    running.says("its `durableq dev` is gone, draining")
    until(lambda: sum(map(lives, children)) == 1, "the child has left")
    again = dev.start("apps:app")
    assert "It was still running: one that was killed has left it" in again.says("durableq send")
    assert dev.result_of("demo/echo", '{"say": 1}') == 1
    again.signal(signal.SIGTERM)
    assert again.ends() == 0
    until(lambda: not any(map(lives, children)), "the server has left")


@pytest.mark.slow
def test_after_kill_9_not_even_code_that_blocks_its_loop_stays(dev: Dev) -> None:
    running = dev.start("apps:app")
    running.says("durableq send")
    children = children_of(running.pid)
    dev.send("demo/spin")
    running.says("spinning")
    os.kill(running.pid, signal.SIGKILL)
    until(lambda: sum(map(lives, children)) == 1, "the child has left")


def test_code_that_blocks_its_loop_is_replaced_with_the_next_change(dev: Dev) -> None:
    running = dev.start("apps:app")
    running.says("durableq send")
    dev.send("demo/spin")
    running.says("spinning")
    dev.write(APP.replace("while True:", "while False:"))
    ready_again(running)
    assert dev.result_of("demo/echo", '{"say": 1}') == 1


def test_a_second_interrupt_does_not_wait_for_a_step(dev: Dev) -> None:
    running = dev.start("apps:app")
    running.says("durableq send")
    dev.send("demo/spin")
    running.says("spinning")
    running.signal(signal.SIGINT)
    running.says("Ctrl-C again: stop now")
    running.signal(signal.SIGINT)
    assert running.ends() == 130
    assert not dev.socket.exists()


def test_a_server_that_dies_is_started_again_and_its_runs_go_on(dev: Dev) -> None:
    running = dev.start("apps:app")
    running.says("durableq send")
    os.kill(int((dev.directory / ".durableq" / "lock").read_text()), signal.SIGKILL)
    running.says("server          is back, on the same data")
    assert dev.result_of("demo/echo", '{"say": 1}') == 1
