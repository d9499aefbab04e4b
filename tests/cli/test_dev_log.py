"""The one log of `durableq dev`: what happens to runs, in words, with the lines of user code among it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.dev_project import Dev

pytestmark = pytest.mark.acceptance

APP = """
import asyncio
import logging
from pathlib import Path
import durableq as dq
app = dq.App("demo")

class Declined(Exception):
    pass

def decline():
    raise Declined("no money")

@app.function("pay", triggers=[dq.EventTrigger("demo/pay")], retries=1, backoff=dq.Backoff.fixed("10ms"))
async def pay(ctx):
    ctx.logger.info("paying", cents=5)
    logging.getLogger("shop").warning("stock is low")
    await ctx.step.run("load", str, 1)
    await ctx.step.sleep("nap", "10ms")
    await ctx.step.run("charge", decline)

@app.function("echo", triggers=[dq.EventTrigger("demo/echo")])
async def echo(ctx):
    return 1

async def until_told():
    while not Path("told").exists():
        await asyncio.sleep(0.01)

@app.function("mail", triggers=[dq.EventTrigger("demo/mail")], rate_limit=dq.RateLimit(1, period="1h", key="event.data.to"))
async def mail(ctx):
    return 1

@app.function("one", triggers=[dq.EventTrigger("demo/one")], concurrency=dq.Concurrency(1, hold="run"))
async def one(ctx):
    await ctx.step.sleep("nap", "1h")

@app.function("wait", triggers=[dq.EventTrigger("demo/wait")], cancel_on=[dq.CancelOn("demo/stop")])
async def wait(ctx):
    await asyncio.gather(
        ctx.step.wait_for_event("paid", "demo/paid", timeout="1h"), ctx.step.run("meanwhile", until_told)
    )
    await ctx.step.invoke("call", echo)
    await ctx.step.run("never", asyncio.Event().wait)
"""


@pytest.fixture
def dev(elsewhere: Path) -> Iterator[Dev]:
    (elsewhere / "apps.py").write_text(APP)
    made = Dev(elsewhere)
    yield made
    made.close()


def test_what_happens_to_a_run_is_told_line_by_line(dev: Dev) -> None:
    running = dev.start("apps:app")
    running.says("durableq send")
    dev.send("demo/pay")
    output = running.says("failed for good after")
    # Time, process, run, what happened.
    told = re.findall(r"^\d\d:\d\d:\d\d\.\d{3}  worker \d+ +demo/pay \w{6}  (.*)$", output, re.M)
    happened = [re.sub(r"\d+(\.\d+)? ?m?s\b", "N", text) for text in told]
    assert happened[:4] == ["started by demo/pay", "paying  cents=5", "step load done in N", "step nap sleeps N"]
    at = "at apps.py:12"
    assert [text for text in happened if text not in ("goes on", *happened[:4])][:2] == [
        f"step charge failed, attempt 1: Declined: no money, {at}, again in N",
        f"step charge failed for good, attempt 2: Declined: no money, {at}: attempt 2 of 2 failed",
    ]
    run_id = re.search(r"durableq runs show (\w{26})$", happened[-1])
    assert run_id is not None
    assert happened[-1].startswith(f"failed for good after N: Declined: no money, {at}. Look at it: ")
    assert "stock is low  logger=shop" in output
    dev.result_of("demo/echo")
    assert "completed in " in running.output
    assert "\x1b[" not in running.output
    assert "child.started" not in running.output


def test_waits_answers_and_a_cancellation_are_told(dev: Dev) -> None:
    running = dev.start("apps:app")
    running.says("durableq send")
    dev.send("demo/wait")
    running.says("step paid waits for event demo/paid, for up to 1h")
    dev.send("demo/paid")
    running.says("step paid is answered: event demo/paid")
    (dev.directory / "told").touch()
    running.says(" of demo/echo, for up to 366d")
    dev.send("demo/stop")
    running.says("cancelled: event demo/stop (cancel_on)")


def test_an_event_that_starts_nothing_is_told(dev: Dev) -> None:
    running = dev.start("apps:app")
    running.says("durableq send")
    dev.send("demo/ecko")
    running.says("event demo/ecko: no function is triggered by it; was demo/echo meant?")


def test_what_flow_control_leaves_out_and_parks_is_told(dev: Dev) -> None:
    running = dev.start("apps:app")
    running.says("durableq send")
    for _ in range(2):
        dev.send("demo/mail", '{"to": "ada b"}')
        dev.send("demo/one")
    why = "rate_limit, as many as may had started for key 'ada b'"
    running.says(f"scheduler       event demo/mail starts nothing of demo/mail: {why}")
    running.says("scheduler       1 run of demo/one parked: waiting for a slot (1 of 1 held)")


def test_a_program_gets_json(dev: Dev) -> None:
    running = dev.start("apps:app", "--log-format", "json")
    running.says("durableq send")
    dev.result_of("demo/echo")
    lines = [json.loads(line) for line in running.output.splitlines() if line.startswith("{")]
    (completed,) = (line for line in lines if line["event"] == "run.completed")
    assert (completed["app"], completed["function"]) == ("demo", "echo")
    assert completed["took_ms"] >= 0
