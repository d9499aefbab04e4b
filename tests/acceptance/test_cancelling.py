"""Timeouts, failures and cancellation from end to end: an app as people write it, real processes, deploys and kills."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import durableq as dq
from durableq.words.periods import format_ms
from tests.durableq_command import Running, durableq, environment, until
from tests.servers import RealServer

APP = """
import os
import durableq as dq

app = dq.App("shop")
START = {start}
FINISH = {finish}

def timeouts(name):
    return dq.Timeouts(start=START.get(name), finish=FINISH.get(name)) if name in START or name in FINISH else None

def note(text):
    with open(os.environ["NOTES"], "a") as notes:
        notes.write(text + "\\n")

def declare(name):
    @app.function(name, triggers=[dq.EventTrigger("go")], timeouts=timeouts(name))
    async def queued(ctx):
        await ctx.step.run("note", note, name)

    @app.function(name + "-begun", triggers=[dq.EventTrigger("begin")], timeouts=timeouts(name + "-begun"))
    def begun(ctx):
        return ctx.step.wait_for_event("end", "end", timeout="1h") and "ended"

for name in ("same", "longer", "none", "shorter", "new"):
    declare(name)
"""


class Shop:
    """A server, a folder of versions of an app, and the processes that a test has started."""

    def __init__(self, server: RealServer, folder: Path) -> None:
        self._folder = folder
        self._env = environment(DURABLEQ_URL=server.url, NOTES=str(folder / "notes"))
        self._running: list[Running] = []
        self.client = dq.Client(server.url).sync

    def write(self, module: str, code: str) -> str:
        (self._folder / f"{module}.py").write_text(code)
        return f"{module}:app"

    def sync(self, module: str, code: str) -> None:
        done = durableq("sync", self.write(module, code), cwd=self._folder, env=self._env)
        assert done.returncode == 0, done.stderr

    def worker(self, app: str, *options: str) -> Running:
        log = self._folder / f"worker-{len(self._running)}.log"
        self._running.append(Running("worker", app, *options, cwd=self._folder, log=log, env=self._env))
        self._running[-1].says("child.working")
        return self._running[-1]

    def status(self, function: str) -> str:
        """Of its one run; "" while there is none."""
        return next((row.status for row in self.client.runs.list(function=f"shop/{function}")), "")

    def run(self, function: str) -> Any:
        (row,) = self.client.runs.list(function=f"shop/{function}")
        return self.client.runs.get(row.id)

    @property
    def notes(self) -> list[str]:
        path = self._folder / "notes"
        return path.read_text().splitlines() if path.exists() else []

    def close(self) -> None:
        for running in self._running:
            running.kill()


@pytest.fixture
def shop(start_server: Callable[..., RealServer], tmp_path: Path) -> Iterator[Shop]:
    made = Shop(start_server("redis7"), tmp_path)
    yield made
    made.close()


SHORT, LONG = 8, 3600
BEFORE = {"same": SHORT, "longer": SHORT, "none": SHORT, "shorter": LONG}
AFTER = {"same": SHORT, "longer": LONG, "shorter": 1, "new": 1}


def begun(seconds: dict[str, int]) -> dict[str, int]:
    return {f"{name}-begun": length for name, length in seconds.items()}


def test_a_deploys_timeouts_hold_for_what_is_queued_and_for_what_has_begun(shop: Shop) -> None:
    before, after = (APP.format(start=times, finish=begun(times)) for times in (BEFORE, AFTER))
    worker = shop.worker(shop.write("before", before), "--only", "*-begun", "--with-scheduler")
    sent_s = time.monotonic()
    shop.client.send([dq.Event("go"), dq.Event("begin")])
    until(lambda: all(shop.status(f"{name}-begun") == "waiting" for name in AFTER | BEFORE), "all have begun")
    shop.sync("after", after)
    assert time.monotonic() - sent_s < SHORT, "the deploy came too late to be seen"
    wanted = {"same": "cancelled", "longer": "queued", "none": "queued", "shorter": "cancelled", "new": "cancelled"}

    def statuses() -> dict[str, str]:
        return {name: shop.status(name) for name in wanted}

    until(lambda: statuses() == wanted, lambda: f"{statuses()} are {wanted}")
    for name, status in wanted.items():
        shown = shop.run(f"{name}-begun")
        assert shown.status == status.replace("queued", "waiting"), name
        if status == "cancelled":
            assert f"{format_ms(AFTER[name] * 1000)} (timeouts)" in shown.error.message
            assert f"{format_ms(AFTER[name] * 1000)} (timeouts)" in shop.run(name).error.message
    assert not shop.notes
    worker.kill()
    shop.worker("after:app", "--with-scheduler")
    shop.client.send(dq.Event("end"))
    until(lambda: shop.status("longer") == shop.status("none") == "completed", "what is queued is executed")
    until(lambda: shop.run("longer-begun").result == shop.run("none-begun").result == "ended", "what had begun goes on")
    assert sorted(shop.notes) == ["longer", "none"]


ORDERS = """
import os
import durableq as dq

app = dq.App("shop")

def note(*words):
    with open(os.environ["NOTES"], "a") as notes:
        notes.write(" ".join(map(str, words)) + "\\n")

class PaymentDeclined(Exception):
    pass

async def apologise(ctx: dq.Context) -> str:
    data = ctx.event.data
    await ctx.step.run("note", note, "apologised", ctx.attempt, data["function_id"], data["error"]["name"])
    if ctx.attempt == 0:
        raise dq.RetryAfterError("the mail server is away", "100ms")
    return data["error"]["message"] + " " + data["run_id"] + " " + str(data["event"]["data"]["order_id"])

def apologise_plainly(ctx: dq.SyncContext) -> str:
    return ctx.event.data["error"]["message"] + " " + ctx.event.data["run_id"]

CANCEL = [dq.CancelOn("order/cancelled", if_="event.data.order_id == async.data.order_id")]

@app.function("process-order", triggers=[dq.EventTrigger("order/created")], cancel_on=CANCEL, retries=0,
              on_failure=apologise, backoff=dq.Backoff.fixed("100ms"))
async def process_order(ctx: dq.Context) -> None:
    await ctx.step.run("reserve", note, "reserved", ctx.event.data["order_id"])
    paid = await ctx.step.wait_for_event("payment", "payment/settled", timeout="1h",
                                         if_="event.data.order_id == async.data.order_id")
    raise PaymentDeclined(f"declined {paid.data['order_id']}")

@app.function("process-order-def", triggers=[dq.EventTrigger("order/created")], cancel_on=CANCEL, retries=0,
              on_failure=apologise_plainly)
def process_order_plainly(ctx: dq.SyncContext) -> None:
    paid = ctx.step.wait_for_event("payment", "payment/settled", timeout="1h",
                                   if_="event.data.order_id == async.data.order_id")
    raise PaymentDeclined(f"declined {paid.data['order_id']}")

@app.function("clean-up", triggers=[dq.EventTrigger("inngest/function.cancelled",
                                                    if_="event.data.function_id == 'process-order'")])
async def clean_up(ctx: dq.Context) -> str:
    run_id, order = ctx.event.data["run_id"], ctx.event.data["event"]["data"]["order_id"]
    await ctx.step.run("free", note, "freed", order)
    return run_id

@app.function("clean-up-def", triggers=[dq.EventTrigger("durableq/function.cancelled",
                                                        if_="event.data.function_id == 'process-order-def'")])
def clean_up_plainly(ctx: dq.SyncContext) -> str:
    ctx.step.run("free", note, "freed plainly", ctx.event.data["event"]["data"]["order_id"])
    return ctx.event.data["run_id"]
"""


def test_an_order_is_cleaned_up_after_once_when_cancelled_and_apologised_for_once_when_failed(shop: Shop) -> None:
    """The worker is killed when the cancel is accepted, and when the payment is."""
    app = shop.write("orders", ORDERS)
    worker = shop.worker(app, "--with-scheduler")
    shop.client.send([dq.Event("order/created", {"order_id": n}) for n in (1, 2)])
    twins = ("process-order", "process-order-def")
    until(
        lambda: sum(len(shop.client.runs.list(function=f"shop/{t}", status="waiting")) for t in twins) == 4, "all wait"
    )
    worker.kill()
    shop.client.send(dq.Event("order/cancelled", {"order_id": 1}))
    shop.client.send(dq.Event("payment/settled", {"order_id": 2}))
    shop.worker(app, "--with-scheduler")
    for twin, cleaner in zip(twins, ("clean-up", "clean-up-def"), strict=True):

        def ended(twin: str = twin) -> Any:
            rows = shop.client.runs.list(function=f"shop/{twin}", status=["completed", "failed", "cancelled"])
            return {row.status: row for row in rows} if len(rows) == 2 else None

        rows = until(ended, f"the runs of {twin} have ended")
        assert rows.keys() == {"cancelled", "failed"}
        until(lambda cleaner=cleaner: shop.status(cleaner) == "completed", f"{cleaner} has ended")
        assert shop.run(cleaner).result == rows["cancelled"].id
        until(lambda twin=twin: shop.status(f"{twin}:on-failure") == "completed", "on_failure has ended")
        assert shop.run(f"{twin}:on-failure").result.startswith(f"declined 2 {rows['failed'].id}")
    assert sorted(note for note in shop.notes if note.startswith("freed")) == ["freed 1", "freed plainly 1"]
    assert [note for note in shop.notes if note.startswith("apologised")] == [
        "apologised 0 process-order PaymentDeclined"  # its second attempt, of its own retries, has the step already
    ]
