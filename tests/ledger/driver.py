"""The driver: starts cases, does to them what their deeds say, and notes when, and what each call was answered.

It never gives up on a call: what Redis did not confirm is done again, with the same ids. Times are wall clock, which is the
server's clock too, since both are of one machine.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable
from random import Random
from typing import Any, TypeVar

import durableq as dq
from durableq.words.ids import run_id as run_id_of
from tests.acceptance.harness import COMMAND, REPOSITORY, Stage, now_ms
from tests.ledger import cases
from tests.ledger.cases import Case, Deed, draw_case
from tests.ledger.entries import Entries
from tests.ledger.names import ANNOUNCED, ANSWERED, APP_ID, CANCELLED

T = TypeVar("T")

PAUSE_S = 0.3
GIVE_UP_S = 150.0
"""For so long it waits for somebody to wait. Who does not by then is stuck, which the judge says."""
COMMANDS_AT_ONCE = 2


class Driver:
    """Starts `count` runs or a few more, at a rate, with at most `most` of them open."""

    def __init__(self, stage: Stage, entries: Entries, chance: Random, client: dq.Client) -> None:
        self.cases: list[Case] = []
        self.open: set[int] = set()
        """Numbers of the cases whose deeds are not all done."""
        self.retried: int = 0
        """Calls that Redis did not confirm, and that were made again."""
        self._stage = stage
        self._entries = entries
        self._chance = chance
        self._client = client
        self._tasks: set[asyncio.Task[None]] = set()
        self._begun: dict[str, set[str]] = defaultdict(set)
        self._read_s = 0.0
        self._commands = asyncio.Semaphore(COMMANDS_AT_ONCE)

    @property
    def started(self) -> int:
        """Runs that were started by an event or from outside."""
        return sum(len(case.runs) for case in self.cases)

    async def drive(self, count: int, per_second: float, enough_open: Callable[[], Awaitable[bool]]) -> None:
        """Start as many runs, and return when everything has been done to them."""
        drawn = 0
        began_s, planned = time.monotonic(), 0
        while planned < count:
            while await enough_open():
                await asyncio.sleep(PAUSE_S)
                began_s = time.monotonic() - planned / per_second  # what was missed is not made up for
            case = draw_case(drawn, self._chance)
            drawn += 1
            planned += case.size
            self.cases.append(case)
            task = asyncio.get_running_loop().create_task(self._perform(case))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
            await asyncio.sleep(max(0.0, began_s + planned / per_second - time.monotonic()))
        while self._tasks:
            await asyncio.gather(*self._tasks)

    async def _perform(self, case: Case) -> None:
        self.open.add(case.number)
        try:
            runs = await self._start(case)
            began_s = time.monotonic()
            later = [deed for deed in case.deeds if deed.after_s >= 0 or case.outside]
            async with asyncio.TaskGroup() as tasks:
                for deed in later:
                    tasks.create_task(self._do(case, deed, runs, began_s))
                if case.outside:
                    tasks.create_task(self._await_result(case, runs[0]))
        finally:
            self.open.discard(case.number)

    async def _start(self, case: Case) -> list[str]:
        """Start the runs of a case. Returns their ids."""
        if case.outside:
            case.runs = [await self._invoke(case)]
            return case.runs
        events = [dq.Event(f"ledger/{case.program}", case.data, id=f"{case.key}.{n}") for n in range(case.size)]
        triggers = [event.id or "" for event in events]
        at_once = [deed for deed in case.deeds if deed.after_s == cases.AT_ONCE]
        if case.program.startswith(("signal", "invoke")):  # nobody waits as yet
            for deed in at_once:
                deed.after_s = 0.0
            at_once = []
        ahead = [deed for deed in case.deeds if deed.after_s == cases.AHEAD]
        for deed in (*ahead, *at_once):
            deed.began_ms = now_ms()
        before = [event for deed in ahead for event in self._events_of(case, deed)]
        after = [event for deed in at_once for event in self._events_of(case, deed)]
        await self._send([*before, *events, *after])
        for deed in (*ahead, *at_once):
            deed.ended_ms = now_ms()
        case.entries = [await self._entries.of(trigger) for trigger in triggers]
        case.runs = [run_id_of(entry, f"{APP_ID}/{case.program}", 0) for entry in case.entries]
        return case.runs

    async def _invoke(self, case: Case) -> str:
        while True:
            try:
                handle = await self._client.invoke(f"{APP_ID}/{case.program}", data=case.data)
                return handle.run_id
            except dq.InvokeError as error:
                self.retried += 1
                await asyncio.sleep(4 * PAUSE_S)  # what was under way is settled by then
                if error.maybe_started:
                    with contextlib.suppress(dq.RunNotFound):
                        await self._until_done(self._client.handle(error.run_id).status)
                        return error.run_id

    async def _do(self, case: Case, deed: Deed, runs: list[str], began_s: float) -> None:
        await asyncio.sleep(max(0.0, began_s + deed.after_s - time.monotonic()))
        deed.began_ms = now_ms()
        if deed.what == cases.SIGNAL:
            await self._signal(case, deed, runs)
        elif deed.what == cases.CANCEL:
            await self._cancel(deed, runs)
        elif deed.what == cases.CANCEL_BY_COMMAND:
            await self._command(deed, runs)
        elif not deed.to_child or await self._children_have_begun(case, runs):
            deed.began_ms = now_ms()
            await self._send(self._events_of(case, deed))
            if deed.again:
                await self._send(self._events_of(case, deed))
        deed.ended_ms = now_ms()

    # --- deeds

    def _events_of(self, case: Case, deed: Deed) -> list[dq.Event]:
        key = f"{case.key} child" if deed.to_child else case.key
        deed.event_id = f"{case.key}.deed-{case.deeds.index(deed)}"
        data: dict[str, Any] = {"key": key, "mark": deed.mark, "fail": deed.fail}
        if deed.what == cases.CANCEL_EVENT:
            return [dq.Event(CANCELLED, data, id=deed.event_id)]
        if case.program.startswith("ranged"):
            return [dq.Event(ANNOUNCED, {**data, "low": case.number, "high": case.number + 1}, id=deed.event_id)]
        return [dq.Event(ANSWERED, data, id=deed.event_id)]

    async def _send(self, events: list[dq.Event]) -> None:
        left = events
        while left:
            try:
                await self._client.send(left)
            except dq.SendError as error:
                self.retried += 1
                left = [*error.not_sent, *error.unknown]
                await asyncio.sleep(PAUSE_S)
            else:
                return

    async def _signal(self, case: Case, deed: Deed, runs: list[str]) -> None:
        """Until somebody has it, as people would who know that somebody will wait; or until nobody will any more."""
        data = {"mark": deed.mark, "fail": deed.fail}
        over_s = time.monotonic() + GIVE_UP_S
        while time.monotonic() < over_s:
            deed.began_ms = now_ms()
            run_id = await self._until_done(lambda: self._client.send_signal(case.key, data), deed)
            if run_id is not None:
                deed.outcomes[run_id] = cases.DELIVERED
                return
            if await self._have_ended(runs):
                return
            await asyncio.sleep(PAUSE_S)

    async def _cancel(self, deed: Deed, runs: list[str]) -> None:
        for run_id in runs:
            while run_id not in deed.outcomes:
                try:
                    found = await self._until_done(lambda: self._client.cancel(run_id), deed)
                    deed.outcomes[run_id] = found.status
                except dq.RunNotFound:  # accepted, and not routed yet
                    await asyncio.sleep(PAUSE_S)

    async def _command(self, deed: Deed, runs: list[str]) -> None:
        """By the command line. One that Redis did not answer is given again."""
        said = "not reachable"
        while "not reachable" in said or "did not answer" in said:
            async with self._commands:
                process = await asyncio.create_subprocess_exec(
                    *COMMAND,
                    *("runs", "cancel", *runs, "--redis-url", self._stage.server.url),
                    cwd=REPOSITORY,
                    stdout=asyncio.subprocess.PIPE,
                    stderr=asyncio.subprocess.STDOUT,
                )
                output, _ = await process.communicate()
            said = output.decode()
            deed.unsure += process.returncode != 0
        for run_id in runs:
            deed.outcomes[run_id] = "by command" if process.returncode == 0 else f"command: {said[-300:]}"

    async def _children_have_begun(self, case: Case, runs: list[str]) -> bool:
        """Wait for them, since what is sent to one that is not there yet is not for it. False: there are none."""
        over_s = time.monotonic() + GIVE_UP_S
        while time.monotonic() < over_s:
            found = self._children_of(f"{case.key} child")
            if len(found) >= len(runs) or await self._have_ended(runs):
                return bool(found)
            await asyncio.sleep(PAUSE_S)
        return False

    def _children_of(self, key: str) -> set[str]:
        """The runs that have begun with this key, as far as the ledger was read in the last moment."""
        if time.monotonic() > self._read_s + PAUSE_S:
            self._read_s = time.monotonic()
            for line in self._stage.ledger.lines("child"):
                self._begun[line.step].add(line.run_id)
        return self._begun[key]

    async def _have_ended(self, runs: list[str]) -> bool:
        calls = await self._stage.calls()
        states = [await calls.read("HGET", calls.key("run", run_id), "s") for run_id in runs]
        return all(state in (b"c", b"f", b"x") for state in states)

    async def _await_result(self, case: Case, run_id: str) -> None:
        handle = self._client.handle(run_id)
        while run_id not in case.results:
            try:
                case.results[run_id] = await handle.result(timeout=GIVE_UP_S)
            except dq.RunFailed as error:
                case.results[run_id] = f"failed {error.name}"
            except dq.RunCancelled:
                case.results[run_id] = "cancelled"
            except dq.ResultTimeout:
                case.results[run_id] = "no result"
            except dq.RedisUnavailable:
                self.retried += 1
                await asyncio.sleep(PAUSE_S)

    async def _until_done(self, call: Callable[[], Awaitable[T]], deed: Deed | None = None) -> T:
        while True:
            try:
                return await call()
            except dq.RedisUnavailable:
                self.retried += 1
                if deed is not None:
                    deed.unsure += 1
                await asyncio.sleep(PAUSE_S)
