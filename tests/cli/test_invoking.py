"""`invoke`, `signal` and `runs cancel` against a server with a worker at work."""

from __future__ import annotations

import json
import signal
from pathlib import Path

import pytest

from durableq.cli import invoke
from tests.cli.conftest import Demo
from tests.cli.project import Project
from tests.durableq_command import REPOSITORY, Running, durableq, environment, until

pytestmark = pytest.mark.acceptance

NOBODY = "0" * 26


def test_invoke_prints_the_result_and_the_run_beside_it(demo: Demo) -> None:
    done = demo.call("invoke", "demo/adds", '{"numbers": [1, 41]}')
    assert (done.exit_code, done.stdout) == (0, "42\n")
    (run_id,) = [line.removeprefix("run ") for line in done.stderr.splitlines()]
    shown = demo.said("runs", "show", run_id)
    assert (shown["result"], shown["event"]["name"]) == (42, "durableq/function.invoked")


def test_a_short_id_will_do_and_data_may_come_from_a_file_or_stdin(demo: Demo, tmp_path: Path) -> None:
    (tmp_path / "given.json").write_text('{"numbers": [2, 3]}')
    assert demo.call("invoke", "adds", "@given.json").stdout == "5\n"
    piped = durableq("invoke", "adds", "-", "--redis-url", demo.url, given='{"numbers": [4, 5]}')
    assert (piped.returncode, piped.stdout) == (0, "9\n")


def test_invoke_as_json_says_how_the_run_ended(demo: Demo) -> None:
    said = demo.said("invoke", "demo/adds", '{"numbers": [1]}')
    assert (said["function"], said["status"], said["result"], said["error"]) == ("demo/adds", "completed", 1, None)
    failed = demo.call("invoke", "declines", "--json")
    told = json.loads(failed.stdout)
    assert (failed.exit_code, told["status"], told["result"], failed.stderr) == (1, "failed", None, "")
    assert (told["error"]["name"], told["error"]["message"]) == ("Declined", "no \x1b[31mmoney")


def test_a_run_that_fails_is_told_with_its_own_frames(demo: Demo) -> None:
    done = demo.call("invoke", "declines")
    assert (done.exit_code, done.stdout) == (1, "")
    assert "failed with Declined: no \\x1b[31mmoney" in done.stderr
    assert "in decline\n" in done.stderr
    assert "\x1b" not in done.stderr


def test_no_wait_prints_the_id_of_the_run(demo: Demo) -> None:
    done = demo.call("invoke", "demo/adds", '{"numbers": [7]}', "--no-wait")
    run_id = done.stdout.strip()
    assert (done.exit_code, done.stderr) == (0, "")
    assert until(lambda: demo.said("runs", "show", run_id)["result"], "its result") == 7
    said = demo.said("invoke", "demo/adds", '{"numbers": [7]}', "--no-wait")
    assert (len(said["id"]), said["status"]) == (26, "queued")


def test_a_run_that_has_not_ended_in_time_leaves_with_124_and_goes_on(demo: Demo) -> None:
    done = demo.call("invoke", "sleeps", "--timeout", "100ms")
    assert (done.exit_code, done.stdout) == (124, "")
    assert "has not ended within 0.1 s" in done.stderr
    said = demo.call("invoke", "sleeps", "--timeout", "100ms", "--json")
    told = json.loads(said.stdout)
    assert (said.exit_code, told["error"]["name"]) == (124, "ResultTimeout")
    assert told["status"] in ("queued", "running", "waiting")
    until(lambda: demo.said("runs", "show", told["id"])["status"] == "waiting", "its sleep")


def test_a_run_that_is_cancelled_leaves_with_3(demo: Demo, tmp_path: Path) -> None:
    waiting = Running(
        "invoke", "sleeps", "--redis-url", demo.url, cwd=REPOSITORY, log=tmp_path / "log", env=environment()
    )
    try:
        run_id = waiting.says("run ").split()[1]
        assert demo.call("runs", "cancel", run_id).stdout == f"{run_id} cancelled\n"
        assert waiting.ends() == 3
        assert f"durableq: run {run_id} was cancelled: by the command line" in waiting.output
    finally:
        waiting.kill()


def test_a_run_that_flow_control_does_not_start_is_said_to_be_so_and_leaves_with_4(
    project: Project, empty: Demo
) -> None:
    project.module(
        "shop.py",
        """
        app = dq.App("shop")

        @app.function("pay", idempotency="event.data.cart")
        async def pay(ctx: dq.Context) -> None: ...
        """,
    )
    assert durableq("sync", "shop", "--redis-url", empty.url, cwd=project.directory).returncode == 0
    run_id = empty.call("invoke", "pay", '{"cart": "c 1"}', "--no-wait").stdout.strip()
    done = empty.call("invoke", "pay", '{"cart": "c 1"}')
    why = f"shop/pay was not started (idempotency, key 'c 1'): run {run_id} was started for it before"
    assert (done.exit_code, done.stdout) == (4, "")
    assert done.stderr == f"durableq: {why}\n  Look at that run: durableq runs show {run_id}\n"
    told = json.loads(empty.call("invoke", "pay", '{"cart": "c 1"}', "--json").stdout)
    assert (told["id"], told["status"], told["result"]) == (None, "skipped", None)
    assert told["error"] == {
        "name": "RunSkipped",
        "message": why,
        "stack": "",
        "reason": "idempotency",
        "key": "c 1",
        "run": run_id,
    }


def test_an_interrupt_leaves_the_run_alone_and_says_where_to_look(demo: Demo, tmp_path: Path) -> None:
    waiting = Running(
        "invoke", "sleeps", "--redis-url", demo.url, cwd=REPOSITORY, log=tmp_path / "log", env=environment()
    )
    try:
        run_id = waiting.says("run ").split()[1]
        waiting.signal(signal.SIGINT)
        assert waiting.ends() == 130
        assert f"durableq: run {run_id} goes on. Look at it: durableq runs show {run_id}" in waiting.output
        assert demo.said("runs", "show", run_id)["status"] != "cancelled"
    finally:
        waiting.kill()


def test_a_run_that_nobody_can_execute_is_said_to_be_so(empty: Demo, monkeypatch: pytest.MonkeyPatch) -> None:
    assert durableq("sync", "tests.cli.demo:app", "--redis-url", empty.url, env=environment()).returncode == 0
    monkeypatch.setattr(invoke, "LOOK_AFTER_S", 0.1)
    done = empty.call("invoke", "adds", "--timeout", "1s")
    assert "no worker that runs now has demo/adds: the run is queued until one does" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (["invoke", "demo/ads"], 1, "FUNCTION 'demo/ads': no such function here; did you mean 'demo/adds'?"),
        (["invoke", "nothing-like-it"], 1, "`durableq functions` lists those that are registered"),
        (["invoke", "adds", "[1]"], 2, "DATA must be a JSON object, not list"),
        (["invoke", "adds", "{"], 2, "DATA must be a JSON object: Expecting"),
        (["invoke", "adds", "@absent.json"], 2, "DATA cannot be read from 'absent.json': No such file"),
        (["invoke", "adds", "--no-wait", "--timeout", "1s"], 2, "leave one out"),
        (["invoke", "adds", "--timeout", "soon"], 2, "is not a duration"),
        (["signal", ""], 2, "1 to 256 characters"),
        (["signal", "x", "nonsense"], 2, "DATA must be JSON"),
        (["runs", "cancel"], 2, "name runs, or say which are meant"),
        (
            ["runs", "cancel", NOBODY],
            1,
            f"no run '{NOBODY}' in namespace 'default': it never was, or its retention is over",
        ),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_what_cannot_be_done_is_refused_with_why(demo: Demo, arguments: list[str], code: int, says: str) -> None:
    done = demo.call(*arguments)
    assert (done.exit_code, done.stdout) == (code, "")
    assert says in done.stderr


@pytest.mark.parametrize("command", [["invoke", "a/b"], ["signal", "x"], ["runs", "cancel", NOBODY]], ids=" ".join)
def test_a_redis_that_is_away_is_told_with_its_address(command: list[str]) -> None:
    done = durableq(*command, "--redis-url", "redis://127.0.0.1:1", env=environment())
    assert (done.returncode, done.stdout) == (69, "")
    assert "redis://127.0.0.1:1, from --redis-url" in done.stderr


def test_a_signal_goes_to_the_run_that_waits_for_it(demo: Demo) -> None:
    run_id = demo.call("invoke", "asks", '{"signal": "approve 7"}', "--no-wait").stdout.strip()
    until(lambda: demo.said("runs", "show", run_id)["status"] == "waiting", "it waits")
    assert demo.call("signal", "approve 7", '{"by": "me"}').stdout == f"{run_id}\n"
    assert until(lambda: demo.said("runs", "show", run_id)["result"], "its result") == {"by": "me"}


def test_a_signal_for_which_nobody_waits_is_said_so(demo: Demo) -> None:
    done = demo.call("signal", "approve 8")
    assert (done.exit_code, done.stdout) == (1, "")
    assert "no run waits for signal 'approve 8' in namespace 'default'. It is not kept" in done.stderr
    told = demo.call("signal", "approve 8", "--json")
    assert (told.exit_code, json.loads(told.stdout)) == (1, {"signal": "approve 8", "run": None})


def test_runs_are_cancelled_by_the_end_of_their_ids_and_what_had_ended_is_said(demo: Demo) -> None:
    first, second = (demo.call("invoke", "sleeps", "--no-wait").stdout.strip() for _ in range(2))
    ended = demo.said("invoke", "adds", '{"numbers": [1]}')["id"]
    done = demo.call("runs", "cancel", first, second[-8:].lower(), ended, first, NOBODY)
    assert done.exit_code == 1
    assert done.stdout.splitlines() == [f"{first} cancelled", f"{second} cancelled", f"{ended} had ended: completed"]
    assert (
        done.stderr == f"durableq: no run '{NOBODY}' in namespace 'default': it never was, or its retention is over\n"
    )
    again = demo.call("runs", "cancel", first, "--json")
    assert again.exit_code == 0
    assert json.loads(again.stdout) == [{"id": first, "status": "cancelled", "cancelled": False}]
    assert demo.said("runs", "show", second)["error"]["message"] == "by the command line"
