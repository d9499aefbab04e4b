"""Exit codes: those of the page on configuration, each met once on the way that is named there."""

from __future__ import annotations

import re
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from durableq.cli import options
from durableq.services import parent
from tests.cli.conftest import Demo
from tests.cli.project import Project
from tests.durableq_command import REPOSITORY, Running, durableq, environment
from tests.servers import RealServer


def test_the_page_lists_the_codes_that_the_code_has() -> None:
    page = (REPOSITORY / "docs" / "configuration.md").read_text().partition("## Exit codes")[2]
    listed = {int(code) for code in re.findall(r"^\| `(\d+)` \|", page, re.MULTILINE)}
    named = {value for module in (options, parent) for name, value in vars(module).items() if name.startswith("EXIT_")}
    assert listed == named | {2}, "2 is click's"


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["--help"], 0),
        (["check", "tests.cli.demo"], 0),
        (["check", "tests.cli.absent"], 1),
        (["worker", "--nothing"], 2),
        (["functions", "--redis-url", "redis://127.0.0.1:1"], 69),
        (["sync", "tests.cli.demo", "--redis-url", "redis://127.0.0.1:1", "--wait", "0"], 69),
        (["worker", "a:b:c"], 78),
        (["functions", "--redis-url", "ftp://x"], 78),
    ],
    ids=lambda value: " ".join(value[:2]) if isinstance(value, list) else str(value),
)
def test_a_command_leaves_with_its_code(arguments: list[str], code: int) -> None:
    assert durableq(*arguments, env=environment()).returncode == code


def test_a_worker_and_a_scheduler_of_a_namespace_that_is_lost_leave_with_75(
    start_server: Callable[..., RealServer], tmp_path: Path
) -> None:
    server = start_server("valkey")
    env = environment(DURABLEQ_URL=server.url)
    worker = Running("worker", "tests.cli.demo", cwd=REPOSITORY, log=tmp_path / "worker", env=env)
    scheduler = Running("scheduler", cwd=REPOSITORY, log=tmp_path / "scheduler", env=env)
    try:
        worker.says("child.working")
        scheduler.says("scheduler.working")
        with server.sync_client() as client:
            client.flushall()
        assert (worker.ends(), scheduler.ends()) == (75, 75)
    finally:
        worker.kill()
        scheduler.kill()


def test_a_worker_that_is_interrupted_twice_leaves_with_130(project: Project, empty: Demo) -> None:
    project.module(
        "shop.py",
        """
        import threading
        app = dq.App("shop")

        @app.function("hangs", triggers=[dq.EventTrigger("hang")])
        def hangs(ctx: dq.SyncContext) -> None:
            ctx.step.run("hang", threading.Event().wait)
        """,
    )
    env = environment(DURABLEQ_URL=empty.url)
    worker = Running("worker", "shop", cwd=project.directory, log=project.directory / "log", env=env)
    try:
        worker.says("child.working")
        empty.run(empty.send("hang"), "running")
        worker.signal(signal.SIGINT)
        worker.says("worker.draining")
        worker.signal(signal.SIGINT)
        assert worker.ends() == 130
    finally:
        worker.kill()
