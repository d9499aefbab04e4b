"""Pausing under load, and a bulk rerun that is killed: by real workers, over a ledger that the functions write."""

from __future__ import annotations

import re
import signal
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import durableq as dq
from tests.durableq_command import Running, durableq, environment, until
from tests.servers import RealServer

APP = """
import asyncio, os, time
import durableq as dq

app = dq.App("shop")

def note(text):
    with open(os.environ["LEDGER"], "a") as ledger:
        ledger.write(f"{text}\\n")

@app.function("works", triggers=[dq.EventTrigger("work")])
async def works(ctx):
    async def body():
        note(f"begin {ctx.event.data['n']}")
        await asyncio.sleep(0.02)
        note(f"end {ctx.event.data['n']}")

    await ctx.step.run("first", body)
    await ctx.step.sleep("nap", "100ms")
    await ctx.step.run("second", body)

@app.function("pings", triggers=[dq.EventTrigger("ping")])
def pings(ctx):
    ctx.step.run("note", note, "ping")

@app.function("fails", triggers=[dq.EventTrigger("fail")], retries=0)
async def fails(ctx):
    async def charge():
        note(f"charge {ctx.event.data['n']}")
        if not os.path.exists(os.environ["MENDED"]):
            raise ValueError("not yet")

    await ctx.step.run("charge", charge)
"""


class Shop:
    """A server, an app, its workers, and what the bodies have written."""

    def __init__(self, server: RealServer, folder: Path) -> None:
        self._folder = folder
        self._ledger = folder / "ledger"
        self._mended = folder / "mended"
        self._ledger.touch()
        self._running: list[Running] = []
        self.env = environment(DURABLEQ_URL=server.url, LEDGER=str(self._ledger), MENDED=str(self._mended))
        self.client = dq.Client(server.url).sync
        (folder / "shop.py").write_text(APP)

    def start(self, *arguments: str) -> Running:
        log = self._folder / f"{len(self._running)}.log"
        self._running.append(Running(*arguments, cwd=self._folder, log=log, env=self.env))
        return self._running[-1]

    def workers(self, count: int) -> None:
        started = [self.start("worker", "shop:app", "--with-scheduler", "--concurrency", "20") for _ in range(count)]
        for worker in started:
            worker.says("child.working")

    @property
    def lines(self) -> list[str]:
        return self._ledger.read_text().splitlines()

    def mend(self) -> None:
        self._mended.touch()

    def count(self, **wanted: object) -> int:
        return self.client.runs.count(dq.RunFilter(**wanted)).total  # type: ignore[arg-type]

    def close(self) -> None:
        for running in self._running:
            running.kill()
        self.client.close()


@pytest.fixture
def shop(start_server: Callable[..., RealServer], tmp_path: Path) -> Iterator[Shop]:
    made = Shop(start_server("redis7"), tmp_path)
    yield made
    made.close()


RUNS = 400
FUNCTION = "shop/works"


def test_of_a_paused_function_nothing_begins_and_after_resume_all_is_done(shop: Shop) -> None:
    shop.workers(2)
    shop.client.send([dq.Event("work", {"n": n}) for n in range(RUNS)])
    until(lambda: len(shop.lines) > 50, "some bodies have begun")
    assert shop.client.pause(FUNCTION)
    until(
        lambda: not shop.count(function=FUNCTION, status="running"), "what was in hand has come to the end of its turn"
    )
    before = shop.lines
    assert shop.count(function=FUNCTION, status=["queued", "waiting"]) > 0, "it was paused too late to see anything"
    assert {text.split()[0] for text in before} == {"begin", "end"}
    assert len(before) % 2 == 0, "no body was cut off"
    shop.client.send([dq.Event("work", {"n": n}) for n in range(RUNS, RUNS + 100)])
    until(lambda: not shop.count(function=FUNCTION, status="waiting"), "what slept is queued")
    shop.client.send(dq.Event("ping"))
    until(lambda: "ping" in shop.lines, "the workers work")
    assert shop.lines == [*before, "ping"]
    assert shop.client.resume(FUNCTION)
    total = RUNS + 100
    until(lambda: shop.count(function=FUNCTION, status="completed") == total, "all have ended")
    assert Counter(line for line in shop.lines if line != "ping") == {
        f"{act} {n}": 2 for n in range(total) for act in ("begin", "end")
    }


SOURCES = 2000


def test_a_bulk_rerun_that_is_killed_and_continued_does_each_run_again_once(shop: Shop) -> None:
    shop.workers(1)
    for start in range(0, SOURCES, 500):
        shop.client.send([dq.Event("fail", {"n": n}) for n in range(start, start + 500)])
    until(lambda: shop.count(status="failed") == SOURCES, "all have failed")
    shop.mend()
    command = ("runs", "rerun", "--function", "fails", "--status", "failed", "--error", "ValueError", "--yes")
    killed = shop.start(*command)
    found = re.search(r"bulk (\w{26})\.", killed.says("Cut off, it goes on with --bulk-id "))
    assert found is not None
    until(lambda: len(shop.lines) > SOURCES, "some are done again")
    killed.signal(signal.SIGKILL)
    assert killed.ends() == -signal.SIGKILL
    done = len({run.rerun_of for run in shop.client.runs.list(function="shop/fails", limit=1000)} - {""})
    assert done > 0
    assert shop.count() < 2 * SOURCES, "it was killed too late to see anything"
    ended = durableq(*command, "--bulk-id", found[1], cwd=Path(shop.env["LEDGER"]).parent, env=shop.env)
    assert ended.returncode == 0, ended.stderr
    assert re.match(
        rf"{SOURCES:,} of {SOURCES:,} runs: [\d,]+ done again, [\d,]+ this bulk had done again before\n", ended.stdout
    )
    until(lambda: shop.count(status="completed") == SOURCES, "all are done again")
    assert shop.count() == 2 * SOURCES
    assert Counter(shop.lines) == {f"charge {n}": 2 for n in range(SOURCES)}
