"""Waits for what runs come to, for one event loop of a client: any number of awaited runs, one blocking connection.

Authority: Redis, asked by `watch_runs`: of each awaited run at once; of all of them after each reconnect of the blocking
connection and every 15 s, a hundred a call. The stream that is read in between is a hint, which makes an answer prompt.

Invariants. A run is in `_awaited` while somebody waits for it, and no longer. While there is any, the stream is read and
kept alive; when there is none at the end of a round, its connection is closed.

Failures. Once a run was asked for, an outage is waited out; until then RedisUnavailable says that nobody answers. A
namespace that is not the one we knew ends every wait with StateLost.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from typing import Any, Final

from durableq.model.run import State
from durableq.store.calls import BATCH, Calls
from durableq.store.cancels import ABSENT
from durableq.store.ends import Ended, Ends
from durableq.store.invokes import Invokes
from durableq.store.link import detached
from durableq.words.errors import DurableqError, RedisUnavailable, ResultTimeout, RunNotFound
from durableq.words.ids import new_token

ROUND_S: Final = 15.0
"""Between two looks at all that is awaited: the most that a lost hint costs."""
LOOK_S: Final = 10.0
"""A working Redis answers a look within milliseconds."""
LEAST_LOOK_S: Final = 1.0
"""A look is given this long where less is left, so that `result(timeout=0)` asks once."""

Changed = Callable[[bool, str], None]
Blocking = Callable[[Changed], Calls]
"""Makes unopened verbs over a connection of their own, which tells when it breaks and is back."""
Turn = Callable[[], Awaitable[None]]
"""Executes what is due, in place of workers."""


class _Awaited:
    """A run that somebody waits for: whether Redis was asked for it, and what it came to."""

    __slots__ = ("asked", "end", "waiters")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.asked: asyncio.Future[None] = loop.create_future()
        self.end: asyncio.Future[Ended] = loop.create_future()
        self.waiters = 0

    def came_to(self, end: Ended) -> None:
        if not self.end.done():
            self.end.set_result(end)
        self.was_asked()

    def failed(self, error: Exception) -> None:
        if not self.end.done():
            self.end.set_exception(error)
            self.end.exception()  # seen: if whoever waited has just left, nobody else would look
        self.was_asked()

    def was_asked(self) -> None:
        if not self.asked.done():
            self.asked.set_result(None)


class Answers:
    """Tells the ends of runs. Made in the loop that it is for.

    Without `blocking` nothing can be waited for, as on a server in this process that only a test turns: then `turn` is
    called once, if there is one, and what has not ended by then is a ResultTimeout.
    """

    def __init__(self, calls: Calls, blocking: Blocking | None, turn: Turn | None = None) -> None:
        self.client = new_token()
        """Under which Redis tells this loop the ends of runs."""
        self._calls = calls
        self._invokes = Invokes(calls)
        self._ends = Ends(calls)
        self._blocking = blocking
        self._turn = turn
        self._loop = asyncio.get_running_loop()
        self._awaited: dict[str, _Awaited] = {}
        self._to_ask: list[str] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._reader: asyncio.Task[None] | None = None
        self._up = False

    @property
    def at_rest(self) -> bool:
        """Whether nothing is read or asked for."""
        return self._reader is None and not self._tasks

    async def ended(self, run_id: str, within_s: float | None = None) -> Ended:
        """What this run came to, once it has ended. None waits for as long as it takes.

        Raises ResultTimeout, RunNotFound, StateLost; RedisUnavailable when it cannot be asked for, or the client is closed.
        """
        began_s = self._loop.time()
        awaited = self._awaited.get(run_id)
        if awaited is None:
            awaited = self._awaited[run_id] = _Awaited(self._loop)
            self._ask_soon(run_id)
        awaited.waiters += 1
        try:
            if not awaited.asked.done():
                await _be_asked(awaited, LOOK_S if within_s is None else min(LOOK_S, max(LEAST_LOOK_S, within_s)))
            if self._blocking is None and not awaited.end.done():
                await self._take_turn(run_id, awaited)
            if not awaited.end.done():
                left_s = None if within_s is None else max(0.0, within_s - (self._loop.time() - began_s))
                await asyncio.wait((awaited.end,), timeout=left_s)
            if not awaited.end.done():
                return await self._at_last(run_id, f" within {within_s:g} s" if within_s else "")
            return awaited.end.result()
        finally:
            awaited.waiters -= 1
            if not awaited.waiters and self._awaited.get(run_id) is awaited:
                del self._awaited[run_id]

    async def close(self) -> None:
        """Close the connection. Whoever waits is told; the runs go on."""
        self._fail_all(RedisUnavailable("the client was closed while a run was awaited; the run goes on"))
        tasks = [*self._tasks, *([] if self._reader is None else [self._reader])]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    # --- asking

    def _ask_soon(self, run_id: str) -> None:
        """Ask for it with the next turn of the loop, together with what else is awaited until then."""
        self._to_ask.append(run_id)
        if len(self._to_ask) == 1:
            self._loop.call_soon(self._ask_now)

    def _ask_now(self) -> None:
        runs, self._to_ask = [run for run in self._to_ask if run in self._awaited], []
        if runs:
            self._spawn(self._ask_first(runs))

    async def _ask_first(self, runs: Sequence[str]) -> None:
        try:
            await self._ask(runs)
        except DurableqError as error:
            for run in runs:
                if run in self._awaited:
                    self._awaited[run].failed(error)
        else:
            self._read_on()

    async def _ask_again(self) -> bool:
        """Look at all that is awaited. Returns whether any had ended."""
        try:
            return await self._ask(list(self._awaited))
        except RedisUnavailable:
            return False  # away: asked again after the reconnect, and with the next round
        except DurableqError as error:
            self._fail_all(error)
            return False

    async def _ask(self, runs: Sequence[str]) -> bool:
        """Have us told what these come to, and read what has ended. Raises Unavailable, StateLost."""
        found = False
        for start in range(0, len(runs), BATCH):
            page = runs[start : start + BATCH]
            final = []
            for run, state in zip(page, await self._invokes.watch_runs(self.client, page, LOOK_S), strict=True):
                if isinstance(state, State):
                    final.append(run)
                elif run in self._awaited:
                    awaited = self._awaited[run]
                    if state == ABSENT:
                        awaited.failed(run_not_found(run, self._calls.keys.namespace))
                    else:
                        awaited.was_asked()
            found = bool(final) or found
            await self._read(final)
        return found

    async def _read(self, runs: Sequence[str]) -> None:
        """Read what these have come to, all at once, and tell who waits. Those that nobody awaits are left alone."""
        wanted = [run for run in runs if run in self._awaited and not self._awaited[run].end.done()]
        ends = await asyncio.gather(*(self._ends.came_to(run) for run in wanted))
        for run, end in zip(wanted, ends, strict=True):
            if run not in self._awaited:
                continue
            if end is None:
                self._awaited[run].failed(run_not_found(run, self._calls.keys.namespace))
            else:
                self._awaited[run].came_to(end)

    # --- the stream

    def _read_on(self) -> None:
        if self._blocking is not None and self._awaited and self._reader is None:
            self._reader = detached(self._loop, self._listen(self._blocking(self._changed)), "durableq-answers")

    async def _listen(self, calls: Calls) -> None:
        """Read the stream, and once a round look at all that is awaited, until nothing is."""
        ends, after, looked_s = Ends(calls), "0", self._loop.time()
        try:
            while True:
                left_s = looked_s + ROUND_S - self._loop.time()
                if left_s > 0:
                    told = await ends.told(self.client, after, max(1, round(left_s * 1000)))
                    after = told.upto
                    if told.runs:
                        self._spawn(self._read(told.runs))
                    continue
                if not self._awaited:
                    return
                looked_s = self._loop.time()
                if await self._ask_again():
                    after = "0"  # a hint has not come: the stream may be another one than was read before
        except DurableqError as error:
            self._fail_all(error)
        finally:
            self._reader, self._up = None, False  # before anything is awaited: who comes now begins another
            await calls.link.close()

    def _changed(self, up: bool, _reason: str) -> None:
        if up and self._up and self._awaited:
            self._spawn(self._look_again())
        self._up = self._up or up

    async def _look_again(self) -> None:
        await self._ask_again()

    # ---

    async def _take_turn(self, run_id: str, awaited: _Awaited) -> None:
        if self._turn is not None:
            await self._turn()
            await self._ask([run_id])
        if not awaited.end.done():
            try:
                awaited.came_to(await self._at_last(run_id, ""))
            except ResultTimeout as error:
                raise ResultTimeout(
                    f"{error}. Nothing executes here by itself: in a TestEnv call env.run_until_idle() first, or "
                    "env.advance(…) for what waits"
                ) from None

    async def _at_last(self, run_id: str, within: str) -> Ended:
        """What it came to, if it has ended while its time was running out. Raises ResultTimeout, which says how it stands."""
        try:
            async with asyncio.timeout(LEAST_LOOK_S):
                state = await self._ends.state(run_id)
                end = await self._ends.came_to(run_id) if state is not None and state.final else None
        except (TimeoutError, DurableqError):
            raise ResultTimeout(f"run {run_id} is not known to have ended{within}: Redis does not answer") from None
        if end is not None:
            return end
        stands = state.label if state is not None else "not there any more"
        raise ResultTimeout(f"run {run_id} has not ended{within}: it is {stands}")

    def _fail_all(self, error: Exception) -> None:
        for awaited in self._awaited.values():
            awaited.failed(error)

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = detached(self._loop, work, "durableq-answers-look")
        self._tasks.add(task)
        task.add_done_callback(self._spawned)

    def _spawned(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None and isinstance(error, Exception):
            self._fail_all(error)


async def _be_asked(awaited: _Awaited, patience_s: float) -> None:
    await asyncio.wait((awaited.asked,), timeout=patience_s)
    if not awaited.asked.done():
        raise RedisUnavailable(f"Redis did not answer within {patience_s:g} s: what the run came to is not known")


def run_not_found(run_id: str, namespace: str) -> RunNotFound:
    """The error for a run that is not there."""
    return RunNotFound(f"no run {run_id!r} in namespace {namespace!r}: it never was, or its retention is over")
