"""`durableq worker --burst`: does what there is to do, and leaves; what is due later stays."""

from __future__ import annotations

import time
from typing import Any

import pytest

from tests.cli.conftest import Demo
from tests.cli.project import Project
from tests.durableq_command import durableq, environment, until

APP = """
    import os
    app = dq.App("shop")

    @app.function("first", triggers=[dq.EventTrigger("first")])
    async def first(ctx: dq.Context) -> None:
        await ctx.step.send_event("tell", [dq.Event("second", {"n": n}) for n in range(20)])

    @app.function("second", triggers=[dq.EventTrigger("second")])
    async def second(ctx: dq.Context) -> None:
        await ctx.step.run("one", int)

    @app.function("naps", triggers=[dq.EventTrigger("nap")])
    async def naps(ctx: dq.Context) -> None:
        await ctx.step.sleep("nap", ctx.event.data["length"])

    @app.function("kills", triggers=[dq.EventTrigger("kill")])
    async def kills(ctx: dq.Context) -> None:
        await ctx.step.run("kill", os._exit, 1)
"""


class Bursts:
    """A project, an empty server, and workers on them that leave by themselves."""

    def __init__(self, project: Project, demo: Demo) -> None:
        project.module("shop.py", APP)
        self._project = project
        self.demo = demo

    def work(self, *arguments: str) -> str:
        """One worker to its end. Returns its log."""
        env = environment(DURABLEQ_URL=self.demo.url)
        done = durableq("worker", "shop", "--burst", *arguments, cwd=self._project.directory, env=env)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def statuses(self) -> dict[str, int]:
        """How many runs are in each state, by `function status`."""
        found: dict[str, int] = {}
        for run in self.demo.said("runs", "list", "--limit", "1000"):
            key = f"{run['function'].partition('/')[2]} {run['status']}"
            found[key] = found.get(key, 0) + 1
        return found


@pytest.fixture
def bursts(project: Project, empty: Demo) -> Bursts:
    return Bursts(project, empty)


def test_with_nothing_to_do_it_leaves(bursts: Bursts) -> None:
    log = bursts.work()
    assert log.count('"worker.nothing_left"') == 1
    assert '"exit": 0' in log.splitlines()[-1]


@pytest.mark.parametrize("processes", ["1", "2"])
def test_what_runs_start_is_done_too(bursts: Bursts, processes: str) -> None:
    for _ in range(3):
        bursts.demo.send("first")
    bursts.work("--processes", processes)
    assert bursts.statuses() == {"first completed": 3, "second completed": 60}


def test_a_sleeper_stays_and_is_woken_by_a_later_one_with_a_scheduler(bursts: Bursts) -> None:
    bursts.demo.send("nap", '{"length": "2s"}')
    bursts.demo.send("nap", '{"length": "1h"}')
    bursts.work()
    assert bursts.statuses() == {"naps waiting": 2}
    (due_at_ms, _) = sorted(_due_at_ms(bursts.demo, run["id"]) for run in bursts.demo.said("runs", "list"))
    until(lambda: time.time() * 1000 > due_at_ms, "the nap's end")
    bursts.work("--with-scheduler")
    assert bursts.statuses() == {"naps completed": 1, "naps waiting": 1}


def _due_at_ms(demo: Demo, run: str) -> int:
    shown: Any = demo.said("runs", "show", run)
    return int(shown["steps"][0]["due_at_ms"])


def test_a_delayed_event_stays(bursts: Bursts) -> None:
    bursts.work()
    assert bursts.demo.call("send", "first", "--ts", str(int(time.time() * 1000) + 3_600_000)).exit_code == 0
    bursts.work()
    assert bursts.statuses() == {"first waiting": 1}


def test_runs_that_kill_their_worker_are_done_as_well(bursts: Bursts) -> None:
    bursts.demo.send("kill")
    bursts.demo.send("first")
    bursts.work()
    assert bursts.statuses() == {"kills failed": 1, "first completed": 1, "second completed": 20}


def test_only_the_chosen_functions_are_waited_for_and_executed(bursts: Bursts) -> None:
    bursts.demo.send("first")
    bursts.demo.send("second")
    bursts.work("--only", "first,nap*")
    assert bursts.statuses() == {"first completed": 1, "second queued": 21}
    assert len(bursts.demo.said("functions")) == 4, "all are registered"
    bursts.work("--except", "shop/k*", "--except", "first")
    assert bursts.statuses() == {"first completed": 1, "second completed": 21}


def test_a_worker_finds_its_app_by_the_projects_file_from_below(bursts: Bursts, project: Project) -> None:
    project.write("pyproject.toml", '[tool.durableq]\napp = ["shop"]')
    below = project.write("deep/down/note.txt").parent
    bursts.demo.send("second")
    env = environment(DURABLEQ_URL=bursts.demo.url, DURABLEQ_BURST="true")
    assert durableq("worker", cwd=below, env=env).returncode == 0
    assert bursts.statuses() == {"second completed": 1}


def test_a_glob_that_matches_nothing_is_refused_with_what_there_is(bursts: Bursts, project: Project) -> None:
    env = environment(DURABLEQ_URL=bursts.demo.url, DURABLEQ_EXCEPT="naps secnd")
    done = durableq("worker", "shop", cwd=project.directory, env=env)
    assert done.returncode == 78
    assert (
        "--except 'secnd' matches no function; there are shop/first, shop/kills, shop/naps, shop/second" in done.stdout
    )
