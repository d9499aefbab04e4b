"""`durableq dev` and code that changes: the next run uses the new code, and nothing that runs or waits is lost."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.dev_project import Dev
from tests.durableq_command import REPOSITORY, Running, said, until

pytestmark = pytest.mark.acceptance

# Old and new code are of one length: within a second, that alone would let Python take what it has compiled for current.
APP = """
import asyncio, pathlib
import durableq as dq

app = dq.App("demo")
WHICH = "one"
WAITS = True

def note(file):
    with open(file, "a") as notes:
        notes.write(WHICH + "\\n")

async def first():
    note("first")

async def second():
    note("second")
    while WAITS and not pathlib.Path("go").exists():
        await asyncio.sleep(0.01)
    return WHICH

@app.function("tell", triggers=[dq.EventTrigger("demo/tell")])
async def tell(ctx):
    return WHICH

@app.function("nap", triggers=[dq.EventTrigger("demo/nap")])
async def nap(ctx):
    await ctx.step.sleep("nap", "4s")
    return WHICH

@app.function("work", triggers=[dq.EventTrigger("demo/work")])
async def work(ctx):
    await ctx.step.run("first", first)
    made = await ctx.step.run("second", second)
    return [made, WHICH]
"""
NEW = APP.replace('"one"', '"two"')
LINES = len(APP.splitlines())
TAKES_OVER = "a new worker takes over"


@pytest.fixture
def dev(elsewhere: Path) -> Iterator[Dev]:
    (elsewhere / "apps.py").write_text(APP)
    made = Dev(elsewhere)
    yield made
    made.close()


@pytest.fixture
def running(dev: Dev) -> Running:
    started = dev.start("apps:app")
    started.says("durableq send demo/")
    return started


def ready_again(running: Running, times: int = 1) -> str:
    """Wait until so many workers have taken over, and return what was said then."""
    until(lambda: running.output.count("ready again") >= times, lambda: f"{times} times ready again:\n{running.output}")
    return running.output.rpartition("ready again")[2]


def test_the_next_run_uses_the_new_code_and_a_sleeping_one_goes_on_under_it(dev: Dev, running: Running) -> None:
    assert dev.result_of("demo/tell") == "one"
    sleeper = dev.send("demo/nap")
    running.says("step nap sleeps")
    dev.write(NEW)
    ready_again(running)
    assert "durableq dev: apps.py changed: a new worker takes over" in running.output
    assert dev.result_of("demo/tell") == "two"
    assert dev.wait_for(sleeper) == "two"
    dev.write(APP)  # what was here before is no older deployment
    ready_again(running, 2)
    assert dev.result_of("demo/tell") == "one"


def test_a_step_that_executes_meanwhile_ends_and_is_recorded(dev: Dev, running: Running) -> None:
    event_id = dev.send("demo/work")
    until(lambda: dev.lines("second"), "the second step executes")
    dev.write(NEW)
    ready_again(running)
    (dev.directory / "go").touch()
    # What was in hand goes on under the code that it was begun with.
    assert dev.wait_for(event_id) == ["one", "one"]
    assert (dev.lines("first"), dev.lines("second")) == (1, 1)


def test_a_step_that_outlasts_the_grace_is_executed_again_and_a_recorded_one_is_not(dev: Dev, running: Running) -> None:
    event_id = dev.send("demo/work")
    until(lambda: dev.lines("second"), "the second step executes")
    dev.write(NEW.replace("WAITS = True", "WAITS = 0"))
    assert dev.wait_for(event_id) == ["two", "two"]
    assert (dev.lines("first"), dev.lines("second")) == (1, 2)


def test_code_that_cannot_be_loaded_is_told_and_what_arrives_waits_until_it_is_mended(
    dev: Dev, running: Running
) -> None:
    dev.write(APP + "\nbroken = (\n")
    output = running.says("nothing is executed until that is mended")
    assert f"apps.py:{LINES + 2}: SyntaxError: '(' was never closed" in output
    assert "broken = (" in output
    waiting = dev.send("demo/tell")
    dev.write(NEW + "\nimport nosuch\n")
    running.says(f"apps.py:{LINES + 2}: ModuleNotFoundError: No module named 'nosuch'")
    assert said("runs", "list", "--status", "completed", cwd=dev.directory) == []
    dev.write(NEW)
    assert dev.wait_for(waiting) == "two"


def test_a_burst_of_saves_is_one_reload_and_the_last_one_counts(dev: Dev, running: Running) -> None:
    for number in range(20):
        dev.write(APP.replace('"one"', f'"{number:03}"'))
        dev.write("", f"other_{number}.py")
    ready_again(running)
    assert dev.result_of("demo/tell") == "019"
    assert running.output.count(TAKES_OVER) == 1
    assert "and 18 more changed" in running.output


def test_code_from_outside_the_working_directory_is_watched_too(
    dev: Dev, tmp_path_factory: pytest.TempPathFactory
) -> None:
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    package = elsewhere / "shared_code"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "words.py").write_text("WHICH = 'one'\n")
    dev.write(APP.replace('WHICH = "one"', "from shared_code.words import WHICH"))
    running = dev.start("apps:app", PYTHONPATH=f"{REPOSITORY}:{elsewhere}")
    running.says("durableq send")
    assert dev.result_of("demo/tell") == "one"
    (package / "words.py").write_text("WHICH = 'two'\n")
    ready_again(running)
    assert dev.result_of("demo/tell") == "two"


def test_functions_come_and_go_with_the_code(dev: Dev, running: Running) -> None:
    sleeper = dev.send("demo/nap")
    running.says("step nap sleeps")
    dev.write(APP.replace('@app.function("nap"', '@app.function("rest"').replace('"demo/work"', '"demo/go"'))
    told = ready_again(running)
    assert "3 functions of demo; new: demo/rest; gone: demo/nap; started by something else: demo/work" in told
    running.says("function demo/nap is gone")
    listed = [view["id"] for view in said("functions", cwd=dev.directory)]
    assert [name for name in listed if name != "demo/nap"] == ["demo/rest", "demo/tell", "demo/work"]
    until(lambda: said("runs", "list", "--status", "queued", cwd=dev.directory), "the run has nobody to go on")
    dev.write(APP)
    assert dev.wait_for(sleeper) == "one"


def test_without_reloading_the_code_is_read_once(dev: Dev) -> None:
    running = dev.start("apps:app", "--no-reload")
    assert "the code is read once (--no-reload)" in running.says("durableq send")
    dev.write(NEW)
    assert [dev.result_of("demo/tell") for _ in range(2)] == ["one", "one"]
    assert TAKES_OVER not in running.output
