"""`functions pause` and `resume`; `runs cancel`, `rerun` and `resume`: named or meant by flags, agreed to, cut off."""

from __future__ import annotations

import asyncio
import json
import os
import pty
import re
import select
import signal
import subprocess
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result

import durableq as dq
from durableq.store.upkeep import Upkeep
from tests.by_hand import ByHand
from tests.cli.conftest import Demo
from tests.durableq_command import COMMAND, PATIENCE_S, Running, durableq, environment
from tests.servers import RealServer, on

NOBODY = "0" * 26

pytestmark = on("valkey")


@pytest.fixture
def app(server: RealServer) -> dq.App:
    app = dq.App("shop", redis_url=server.url)

    @app.function("pays", triggers=[dq.EventTrigger("pay")])
    async def pays(ctx: dq.Context) -> int:
        return 1

    @app.function("ships", triggers=[dq.EventTrigger("ship")])
    async def ships(ctx: dq.Context) -> int:
        return 1

    return app


@pytest.fixture
async def worker(server: RealServer, app: dq.App) -> AsyncIterator[ByHand]:
    async with ByHand(server, app) as worker:
        yield worker
    await app.client.aclose()


Call = Callable[..., Any]


@pytest.fixture
def call(server: RealServer, worker: ByHand) -> Call:
    """A command, in a thread, since it has a loop of its own."""

    async def called(*arguments: str) -> Result:
        return await asyncio.to_thread(Demo(server).call, *arguments)

    return called


@pytest.fixture
def process(server: RealServer, worker: ByHand) -> Call:
    """A command as a process of its own: what goes through many runs hears signals, which threads cannot."""
    env = environment(DURABLEQ_URL=server.url)

    async def called(*arguments: str) -> subprocess.CompletedProcess[str]:
        return await asyncio.to_thread(durableq, *arguments, env=env)

    return called


async def failed(app: dq.App, worker: ByHand, count: int = 3, function: str = "pays") -> list[str]:
    runs = [(await app.invoke(function, data={"n": n})).run_id for n in range(count)]
    await worker.fail(*runs, error=ValueError("no"))
    return runs


# ---- pausing


async def test_functions_are_paused_and_go_on_which_is_said_and_shown(call: Call) -> None:
    done = await call("functions", "pause", "pays", "shop/ships")
    assert (done.exit_code, done.stdout) == (
        0,
        "shop/pays is paused: what starts it meanwhile waits\nshop/ships is paused: what starts it meanwhile waits\n",
    )
    again = await call("functions", "pause", "pays", "--skip")
    assert again.stdout == "shop/pays is paused: what would start it meanwhile is left out\n"
    assert "was paused already" in (await call("functions", "pause", "pays", "--skip")).stdout
    assert re.search(r"^shop/pays: paused since ", (await call("functions")).stdout, re.M)
    listed = json.loads((await call("functions", "--json")).stdout)
    assert [view["paused"] for view in listed] == ["skip", "wait"]
    assert json.loads((await call("functions", "resume", "pays", "ships", "--json")).stdout) == [
        {"id": "shop/pays", "paused": None, "changed": True},
        {"id": "shop/ships", "paused": None, "changed": True},
    ]
    assert (await call("functions", "resume", "pays")).stdout == "shop/pays was not paused\n"


async def test_a_function_that_is_not_there_is_guessed_and_none_is_paused(call: Call) -> None:
    done = await call("functions", "pause", "ships", "pay")
    assert (done.exit_code, done.stdout) == (1, "")
    assert "ID 'pay': no such function here; did you mean 'pays'?" in done.stderr
    assert [view["paused"] for view in json.loads((await call("functions", "--json")).stdout)] == [None, None]


async def test_flags_before_the_name_of_the_command_are_meant_for_it(server: RealServer, worker: ByHand) -> None:
    env = environment()
    done = await asyncio.to_thread(
        subprocess.run,
        [*COMMAND, "functions", "--redis-url", server.url, "--json", "pause", "pays"],
        env=env,
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
    )
    assert json.loads(done.stdout) == [{"id": "shop/pays", "paused": "wait", "changed": True}]


# ---- runs that are named


async def test_a_run_is_done_again_and_says_as_which(app: dq.App, worker: ByHand, call: Call) -> None:
    (source,) = await failed(app, worker, 1)
    done = await call("runs", "rerun", source[-8:], "--data", '{"n": 7}')
    new = re.fullmatch(rf"{source} again as (\w{{26}})\n", done.stdout)
    assert (done.exit_code, new is not None) == (0, True)
    assert new is not None
    shown = json.loads((await call("runs", "show", new[1], "--json")).stdout)
    assert (shown["rerun_of"], shown["event"]["data"], shown["status"]) == (source, {"n": 7}, "queued")
    assert f"rerun of  run {source}\n" in (await call("runs", "show", new[1])).stdout


async def test_one_that_cannot_be_is_told_and_the_others_are(app: dq.App, worker: ByHand, call: Call) -> None:
    (source,) = await failed(app, worker, 1)
    done = await call("runs", "rerun", NOBODY, source)
    assert (done.exit_code, f"{source} again as " in done.stdout) == (1, True)
    assert f"durableq: no run '{NOBODY}'" in done.stderr
    said = await call("runs", "resume", NOBODY, source, "--json")
    first, second = json.loads(said.stdout)
    assert (said.exit_code, first["rerun"], second["id"], second["reason"]) == (1, None, source, None)


async def test_what_a_new_run_comes_to_is_waited_for(app: dq.App, worker: ByHand, call: Call) -> None:
    sources = await failed(app, worker, 3)

    async def waited(source: str, end: Callable[[str], Any], *more: str) -> Result:
        waiting = asyncio.create_task(call("runs", "rerun", source, "--wait", *more))
        async with asyncio.timeout(PATIENCE_S):
            while not (found := await worker.claim()):
                await asyncio.sleep(0.02)
        await end(found[0])
        done: Result = await waiting
        return done

    well = await waited(sources[0], lambda run: worker.complete(run, value={"a": 1}))
    assert (well.exit_code, well.stdout.splitlines()[1][27:]) == (0, 'completed: {"a": 1}')
    badly = await waited(sources[1], lambda run: worker.fail(run, error=ValueError("never")), "--json")
    (said,) = json.loads(badly.stdout)
    assert (badly.exit_code, said["status"], "ValueError: never" in said["reason"]) == (1, "failed", True)
    ended = await waited(sources[2], app.cancel)
    assert (ended.exit_code, "was cancelled" in ended.stderr) == (3, True)


async def test_what_flow_control_leaves_out_has_a_code_of_its_own(app: dq.App, worker: ByHand, call: Call) -> None:
    (source,) = await failed(app, worker, 1)
    await app.client.pause("shop/pays", new="skip")
    done = await call("runs", "rerun", source)
    assert (done.exit_code, "paused" in done.stderr) == (4, True)


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (["rerun"], 2, "name runs, or say which are meant: --function"),
        (["cancel", NOBODY, "--app", "shop"], 2, "name runs, or say with flags which are meant: not both"),
        (["rerun", "--app", "shop", "--from-step", "x"], 2, "--from-step is for runs that are named"),
        (["rerun", "--app", "shop", "--data", "{}"], 2, "--data is for runs that are named"),
        (["resume", "--app", "shop", "--wait"], 2, "--wait is for runs that are named"),
        (["rerun", NOBODY, "--data", "[1]"], 2, "--data must be a JSON object, not list"),
        (["cancel", "--status", "ended"], 2, "--status must be one of queued"),
        (["cancel", "--since", "2h", "--until", "5h"], 2, "--since '2h' is later than --until '5h'"),
        (["cancel", "--since", "lately"], 2, "--since 'lately' is neither a duration"),
        (["cancel", "--where", "event.data.n =="], 2, "\n  event.data.n ==\n                 ^"),
        (["cancel", "--function", "pay", "--yes"], 1, "--function 'pay': no such function here; did you mean 'pays'?"),
        (["cancel", "--status", "failed", "--yes"], 78, "cancel is for queued, running, waiting runs"),
        (["rerun", "--app", "shop", "--bulk-id", "x", "--yes"], 78, "must be one that a bulk operation has reported"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
async def test_what_is_not_meant_is_refused(call: Call, arguments: list[str], code: int, says: str) -> None:
    done = await call("runs", *arguments)
    assert (done.exit_code, done.stdout) == (code, "")
    assert says in done.stderr


# ---- runs that are meant by flags


async def test_they_are_counted_and_without_a_terminal_yes_must_be_said(
    app: dq.App, worker: ByHand, call: Call
) -> None:
    await failed(app, worker, 3)
    await failed(app, worker, 1, "ships")
    counted = await call("runs", "rerun", "--status", "failed,completed", "--dry-run")
    assert (counted.exit_code, counted.stdout) == (0, "4 runs match: 4 failed; 3 of shop/pays, 1 of shop/ships\n")
    refused = await call("runs", "rerun", "--status", "failed")
    assert (refused.exit_code, refused.stdout) == (2, "")
    assert (
        "Error: 4 runs match: 4 failed; 3 of shop/pays, 1 of shop/ships. Without a terminal --yes must"
        in refused.stderr
    )
    assert (await call("runs", "rerun", "--app", "other", "--yes")).stdout == "no runs match\n"
    nothing = json.loads((await call("runs", "cancel", "--app", "other", "--yes", "--json")).stdout)
    assert (nothing["matched"], nothing["done"], nothing["finished"], "dry_run" in nothing) == (0, 0, True, False)
    assert json.loads((await call("runs", "rerun", "--function", "ships", "--dry-run", "--json")).stdout) == {
        "operation": "rerun",
        "dry_run": True,
        "matched": 1,
        "by_status": {"failed": 1},
        "by_function": {"shop/ships": 1},
    }
    assert len(await app.client.runs.list()) == 4, "nothing was done"


async def test_they_are_done_again_and_json_is_one_object(app: dq.App, worker: ByHand, process: Call) -> None:
    sources = await failed(app, worker, 3)
    done = await process(
        "runs", "rerun", "--function", "pays", "--where", "event.data.n > 0", "--since", "1h", "--yes", "--json"
    )
    said = json.loads(done.stdout)
    assert (done.returncode, said["matched"], said["done"], said["finished"]) == (0, 2, 2, True)
    rows = await app.client.runs.list(status="queued")
    assert {row.rerun_of for row in rows} == {*sources[1:]}
    again = await process("runs", "rerun", "--where", "event.data.n > 0", "--yes", "--bulk-id", said["bulk_id"].lower())
    assert again.stdout == "2 of 2 runs: 0 done again, 2 this bulk had done again before\n"
    resumed = await process("runs", "resume", "--error", "ValueError", "--until", "2100-01-01", "--yes")
    assert resumed.stdout == "3 of 3 runs: 3 resumed\n"
    cancelled = await process("runs", "cancel", "--function", "shop/pays", "--function", "ships", "--yes")
    assert cancelled.stdout == "5 of 5 runs: 5 cancelled\n"


async def test_what_was_skipped_or_failed_is_told_with_the_reason(app: dq.App, worker: ByHand, process: Call) -> None:
    await failed(app, worker, 3)
    await app.client.pause("shop/pays", new="skip")
    done = await process("runs", "rerun", "--app", "shop", "--yes")
    assert (done.returncode, done.stdout) == (0, "3 of 3 runs: 0 done again, 3 skipped\n  3: paused\n")


async def test_cut_off_while_redis_is_full_it_says_how_to_go_on(
    server: RealServer, app: dq.App, worker: ByHand, tmp_path: Path, process: Call
) -> None:
    await failed(app, worker, 3)
    await Upkeep(worker.calls).set_gate(0.9, prunable=False)
    env = environment(DURABLEQ_URL=server.url)
    running = Running("runs", "rerun", "--app", "shop", "--yes", cwd=tmp_path, log=tmp_path / "log", env=env)
    try:
        told = await asyncio.to_thread(running.says, "Redis is nearly out of memory: waiting until there is room")
        running.signal(signal.SIGINT)
        assert await asyncio.to_thread(running.ends) == 130
    finally:
        running.kill()
    (bulk_id,) = set(re.findall(r"--bulk-id (\w{26})", told))
    assert f"stopped after 0 of 3 runs. To go on, add --bulk-id {bulk_id} to the same command" in running.output
    await Upkeep(worker.calls).set_gate(0.1, prunable=False)
    done = await process("runs", "rerun", "--app", "shop", "--yes", "--bulk-id", bulk_id)
    assert done.stdout == "3 of 3 runs: 3 done again\n"


@pytest.mark.parametrize(("answer", "code", "left"), [("n", 1, 3), ("y", 0, 0)])
async def test_at_a_terminal_it_is_asked_for(
    server: RealServer, app: dq.App, worker: ByHand, answer: str, code: int, left: int
) -> None:
    for n in range(3):
        await app.invoke("pays", data={"n": n})

    def at_a_terminal() -> tuple[str, int]:
        pid, terminal = pty.fork()
        if pid == 0:
            os.execve(COMMAND[0], [*COMMAND, "runs", "cancel", "--app", "shop"], environment(DURABLEQ_URL=server.url))
        shown, deadline, answered = b"", time.monotonic() + PATIENCE_S, False
        while time.monotonic() < deadline:
            if not select.select([terminal], [], [], 0.1)[0]:
                continue
            try:
                read = os.read(terminal, 4096)
            except OSError:
                break
            if not read:
                break
            shown += read
            if not answered and b"[y/N]" in shown:
                os.write(terminal, f"{answer}\n".encode())
                answered = True
        os.close(terminal)
        return shown.decode(), os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])

    shown, left_with = await asyncio.to_thread(at_a_terminal)
    assert "3 runs match: 3 queued; 3 of shop/pays" in shown
    assert "Cancel these 3 runs? [y/N]" in shown
    assert left_with == code, shown
    assert len(await app.client.runs.list(status="queued")) == left
