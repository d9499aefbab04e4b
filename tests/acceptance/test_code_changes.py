"""What docs/upgrading.md says of code that changes under its runs, tried with two versions of an app."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import durableq as dq
from tests.durableq_command import Running, durableq, environment, until
from tests.servers import RealServer

HEAD = """
import dataclasses, os
import durableq as dq

app = dq.App("shop")
GO = [dq.EventTrigger("go")]
NOBODY = [dq.EventTrigger("nobody/sends-this")]
ONCE = dq.Backoff.fixed("100ms")

def note(text):
    with open(os.environ["NOTES"], "a") as notes:
        notes.write(text + "\\n")
    return text
"""
BEFORE = (
    HEAD
    + """
@dataclasses.dataclass
class Order:
    id: int
    cents: int

def load() -> Order:
    return Order(7, 100)

@app.function("adds", triggers=GO)
async def adds(ctx):
    await ctx.step.run("first", note, "adds first")
    await ctx.step.sleep("nap", "4s")

@app.function("removes", triggers=GO)
async def removes(ctx):
    await ctx.step.run("first", note, "removes first")
    await ctx.step.run("second", note, "removes second")
    await ctx.step.sleep("nap", "4s")

@app.function("renames", triggers=GO)
async def renames(ctx):
    await ctx.step.run("old", note, "renames old")
    await ctx.step.sleep("nap", "4s")

@app.function("reorders", triggers=GO)
async def reorders(ctx):
    a = await ctx.step.run("a", note, "reorders a")
    b = await ctx.step.run("b", note, "reorders b")
    await ctx.step.sleep("nap", "4s")
    return a + b

@app.function("naps-longer", triggers=GO)
async def naps_longer(ctx):
    await ctx.step.sleep("nap", "4s")

@app.function("drops-its-nap", triggers=GO)
async def drops_its_nap(ctx):
    await ctx.step.run("first", note, "drops-its-nap first")
    await ctx.step.sleep("nap", "4s")
    return "slept"

@app.function("gains-a-field", triggers=GO)
async def gains_a_field(ctx):
    order = await ctx.step.run("load", load)
    await ctx.step.sleep("nap", "4s")
    return order.cents

@app.function("renames-a-field", triggers=GO)
async def renames_a_field(ctx):
    order = await ctx.step.run("load", load)
    await ctx.step.sleep("nap", "4s")
    return order.cents

@app.function("changes-the-verb", triggers=GO)
async def changes_the_verb(ctx):
    await ctx.step.run("thing", note, "thing")
    await ctx.step.sleep("nap", "4s")

@app.function("waits-otherwise", triggers=GO)
async def waits_otherwise(ctx):
    await ctx.step.wait_for_event("answer", "old/answer", timeout="4s")

@app.function("child", triggers=NOBODY)
async def child(ctx):
    await ctx.step.sleep("nap", "4s")
    return "the child that there was"

@app.function("invokes-otherwise", triggers=GO)
async def invokes_otherwise(ctx):
    return await ctx.step.invoke("child", child)

@app.function("gains-on-failure", triggers=GO)
async def gains_on_failure(ctx):
    await ctx.step.sleep("nap", "4s")

@app.function("old-id", triggers=GO)
async def old_id(ctx):
    await ctx.step.sleep("nap", "4s")
    return "ended under its old id"
"""
)
AFTER = (
    HEAD
    + """
@dataclasses.dataclass
class Order:
    id: int
    cents: int
    plan: str = "free"

@dataclasses.dataclass
class Renamed:
    id: int
    total: int

def load() -> Order:
    return Order(8, 0)

def load_renamed() -> Renamed:
    return Renamed(8, 0)

@app.function("adds", triggers=GO)
async def adds(ctx):
    await ctx.step.run("earlier", note, "adds earlier")
    await ctx.step.run("first", note, "adds first")
    await ctx.step.sleep("nap", "4s")
    await ctx.step.run("later", note, "adds later")

@app.function("removes", triggers=GO)
async def removes(ctx):
    first = await ctx.step.run("first", note, "removes first")
    await ctx.step.sleep("nap", "4s")
    return first

@app.function("renames", triggers=GO)
async def renames(ctx):
    await ctx.step.run("new", note, "renames new")
    await ctx.step.sleep("nap", "4s")

@app.function("reorders", triggers=GO)
async def reorders(ctx):
    b = await ctx.step.run("b", note, "reorders b")
    a = await ctx.step.run("a", note, "reorders a")
    await ctx.step.sleep("nap", "4s")
    return a + b

@app.function("naps-longer", triggers=GO)
async def naps_longer(ctx):
    await ctx.step.sleep("nap", "1h")

@app.function("drops-its-nap", triggers=GO)
async def drops_its_nap(ctx):
    await ctx.step.run("first", note, "drops-its-nap first")
    return "did not sleep"

@app.function("gains-a-field", triggers=GO)
async def gains_a_field(ctx):
    order = await ctx.step.run("load", load)
    await ctx.step.sleep("nap", "4s")
    return [order.cents, order.plan]

@app.function("renames-a-field", triggers=GO, retries=1, backoff=ONCE)
async def renames_a_field(ctx):
    order = await ctx.step.run("load", load_renamed)
    await ctx.step.sleep("nap", "4s")
    return order.total

@app.function("changes-the-verb", triggers=GO, retries=1, backoff=ONCE)
async def changes_the_verb(ctx):
    await ctx.step.sleep("thing", "1s")

@app.function("waits-otherwise", triggers=GO)
async def waits_otherwise(ctx):
    if await ctx.step.wait_for_event("answer", "new/answer", timeout="1h") is None:
        return "the time that there was is over"

@app.function("child", triggers=NOBODY)
async def child(ctx):
    await ctx.step.sleep("nap", "4s")
    return "the child that there was"

@app.function("other-child", triggers=NOBODY)
async def other_child(ctx):
    return "another child"

@app.function("invokes-otherwise", triggers=GO)
async def invokes_otherwise(ctx):
    return await ctx.step.invoke("child", other_child)

async def failed(ctx):
    return ctx.event.data["error"]["message"]

@app.function("gains-on-failure", triggers=GO, retries=0, on_failure=failed)
async def gains_on_failure(ctx):
    await ctx.step.sleep("nap", "4s")
    raise ValueError("the new code fails")

@app.function("new-id", triggers=NOBODY)
async def new_id(ctx):
    return "new"
"""
)
KEPT = """
@app.function("old-id")
async def old_id(ctx):
    await ctx.step.sleep("nap", "4s")
    return "ended under its old id"
"""


class Deployed:
    """A server, a folder with versions of an app, and one worker at a time."""

    def __init__(self, server: RealServer, folder: Path) -> None:
        self.notes = folder / "notes"
        self._folder = folder
        self._env = environment(DURABLEQ_URL=server.url, NOTES=str(self.notes))
        self._worker: Running | None = None
        self.runs = dq.Client(server.url).sync.runs

    def deploy(self, module: str, code: str) -> str:
        """End the worker, sync this version, start a worker of it. Returns what sync printed."""
        self.end()
        (self._folder / f"{module}.py").write_text(code)
        synced = durableq("sync", f"{module}:app", cwd=self._folder, env=self._env)
        assert synced.returncode == 0, synced.stderr
        self._worker = Running(
            "worker",
            f"{module}:app",
            "--with-scheduler",
            cwd=self._folder,
            log=self._folder / f"{module}.log",
            env=self._env,
        )
        self._worker.says("child.working")
        return synced.stdout

    def send(self) -> None:
        assert durableq("send", "go", cwd=self._folder, env=self._env).returncode == 0

    def end(self) -> None:
        if self._worker is not None:
            self._worker.signal(signal.SIGTERM)
            assert self._worker.ends() == 0
            self._worker = None

    def log(self, module: str) -> str:
        return (self._folder / f"{module}.log").read_text()

    def count(self, status: str) -> int:
        return len(self.runs.list(status=status))

    def run(self, function: str) -> Any:
        (row,) = self.runs.list(function=f"shop/{function}")
        return self.runs.get(row.id)

    def close(self) -> None:
        if self._worker is not None:
            self._worker.kill()


@pytest.fixture
def deployed(start_server: Any, tmp_path: Path) -> Iterator[Deployed]:
    found = Deployed(start_server("redis7"), tmp_path)
    yield found
    found.close()


def test_runs_go_on_under_the_new_code_as_the_page_says(deployed: Deployed) -> None:
    deployed.deploy("before", BEFORE)
    deployed.send()
    until(lambda: deployed.count("waiting") == 14, "all sleep or wait")
    printed = deployed.deploy("after", AFTER)
    assert "removed  old-id" in printed
    assert "added    new-id" in printed
    until(lambda: deployed.count("completed") == 11 and deployed.count("failed") == 3, "all have ended but one")

    noted = deployed.notes.read_text().splitlines()
    assert len(noted) == len(set(noted)), "nothing that was recorded was executed again"
    # a step that is new is executed, wherever it stands; one that is gone is not asked for; a renamed one is a new one
    assert {"adds earlier", "adds later", "renames new"} <= set(noted)
    assert deployed.run("removes").result == "removes first"
    # recorded steps in another order keep their results, and the log says so
    assert deployed.run("reorders").result == "reorders areorders b"
    assert "steps in another order" in deployed.log("after")
    # a sleep that has begun ends when it was to end
    assert deployed.run("naps-longer").status == "completed"
    # one that is gone keeps those that are in the middle of it until it was to end
    awake = deployed.run("drops-its-nap")
    assert awake.result == "did not sleep"
    assert awake.ended_at_ms - awake.created_at_ms >= 4000
    # recorded values are read as what is annotated now
    assert deployed.run("gains-a-field").result == [100, "free"]
    assert "value has no total, which Renamed needs" in deployed.run("renames-a-field").error.message
    assert "give the new step an id of its own" in deployed.run("changes-the-verb").error.message
    # a wait and an invoke that have begun stay what they were
    assert deployed.run("waits-otherwise").result == "the time that there was is over"
    assert deployed.run("invokes-otherwise").result == "the child that there was"
    # what happens to a run that fails is said by the code under which it fails
    assert deployed.run("gains-on-failure:on-failure").result == "the new code fails"
    # a run whose function is gone waits for a worker that has it
    assert deployed.run("old-id").status == "queued"

    deployed.deploy("kept", AFTER + KEPT)
    until(lambda: deployed.run("old-id").status == "completed", "the run of the old id has ended")
    assert deployed.run("old-id").result == "ended under its old id"
