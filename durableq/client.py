"""The client: sends events and reads runs, from any service, without the app's code.

`await` works from any number of event loops, also after one was closed: each loop has its own connection, made at first
use. Plain code uses `client.sync`, which is the same surface over a loop in a thread of its own (sync.py).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Any, Literal, Self, TypeVar, overload

from durableq.bulk import BulkOfClient
from durableq.connections import Connections, Door
from durableq.handles import RunHandle
from durableq.model.config import Place
from durableq.model.event import Event
from durableq.model.function import Function
from durableq.model.limits import Limits
from durableq.model.rerunning import KEPT
from durableq.model.routing import RoutingTable
from durableq.runs import READ_PATIENCE_S, RunsOfClient, check_limit, patience
from durableq.services.answers import LEAST_LOOK_S, Turn, run_not_found
from durableq.services.cancelling import Cancellation, cancel, check_there, runs_given
from durableq.services.flow_looks import FunctionFlowView, function_flow, limits_of
from durableq.services.flow_views import LimitsView
from durableq.services.pausing import check_mode, function_named, pause
from durableq.services.rerunning import Again, Rerunner
from durableq.services.sender import PATIENCE_S, Prepared, send
from durableq.services.signalling import give, prepare_signal
from durableq.services.starting import full_id_of, prepare
from durableq.services.views import FunctionView, function_views
from durableq.store.calls import Calls
from durableq.store.crons import Crons
from durableq.store.ends import Ended, Ends
from durableq.store.events import Events
from durableq.store.flow import RESUME, Flow
from durableq.store.reads import Reads
from durableq.store.registry import Registry
from durableq.store.waits import Waits
from durableq.sync import Portal, SyncClient
from durableq.words.clock import Clock, SystemClock
from durableq.words.errors import InvokeError, RedisUnavailable, SendError
from durableq.words.familiar import familiar
from durableq.words.ids import is_run_id, new_token, rerun_run_id
from durableq.words.typed import result_type

R = TypeVar("R")


@familiar
class Client:
    """A producer and reader of one namespace.

    Args:
        redis_url: redis://, rediss:// or unix://; else DURABLEQ_URL, REDIS_TLS_URL, REDIS_URL, VALKEY_URL.
        namespace: The wall within which events and functions meet; else DURABLEQ_NAMESPACE, else "default".
        limits: Sizes that events may have.

    Nothing is read and nothing connected before first use. Usable as `async with`.
    """

    def __init__(
        self, redis_url: str | None = None, *, namespace: str | None = None, limits: Limits | None = None
    ) -> None:
        self._limits = limits or Limits()
        self._clock: Clock = SystemClock()
        self._connections = Connections(Place(redis_url, namespace))
        self._portal = Portal()
        self.runs = RunsOfClient(self)
        self.bulk = BulkOfClient(self)
        self.sync = SyncClient(self, self._portal)

    async def send(self, events: Event[Any] | Sequence[Event[Any]]) -> list[str]:
        """Accept one event or at most 5,000. Returns their ids, in order, once Redis has them.

        Raises:
            EventError: An event breaks a rule; nothing was sent.
            LimitExceeded: One is too large, or there are too many; nothing was sent.
            QueueFull: Redis is nearly out of memory; nothing was stored.
            SendError: Redis did not answer within 2 s. It lists what was stored, what was not, and what may have been;
                sending the latter two again is safe, since their ids are deduplicated.
            StateLost: The namespace in Redis is not the one this process knew.
        """
        prepared = Prepared(events, self._limits, self._clock)
        if not prepared.writes:
            return []
        try:
            opened, left_s = await self._connections.within(PATIENCE_S)
        except RedisUnavailable as error:
            raise SendError(str(error), [], prepared.events, []) from error
        return await send(Events(opened.calls), prepared, patience_s=left_s)

    @overload
    async def invoke(self, function: Function[R], *, data: Any = None) -> RunHandle[R]: ...
    @overload
    async def invoke(self, function: str, *, data: Any = None) -> RunHandle[Any]: ...
    async def invoke(self, function: Function[R] | str, *, data: Any = None) -> RunHandle[Any]:
        """Start a run of one function, whatever its triggers. Returns once Redis has it; `await handle.result()` waits for it.

        Args:
            function: Its full id, `app/function`. With the Function itself the result comes in its annotated type.
            data: What the run finds in `ctx.event.data`: a mapping, dataclass or pydantic model. None is an empty one.

        Each call starts a run of its own; to start one once, send an event with an id.

        Raises:
            ConfigError: This is no function's id.
            EventError: The data cannot be stored, or is not what the function's context names; nothing was started.
            LimitExceeded: It is larger than an event may be; nothing was started.
            FunctionNotFound: No such function is registered in the namespace. The message has the nearest, if one is near.
            RunSkipped: Flow control does not let it start: `error.reason`, `error.key`, and `error.run_id`, the run that has
                the key.
            QueueFull: Redis is nearly out of memory; nothing was started.
            InvokeError: Redis did not answer within 2 s. It says whether the run may have been started, under which id.
            StateLost: The namespace in Redis is not the one this process knew.
        """
        return await self._invoke(function, data)

    def handle(self, run_id: str) -> RunHandle[Any]:
        """A handle of a run, by its id: of any run, started anywhere. Nothing is asked before the handle is."""
        (named,) = runs_given([run_id])
        return RunHandle(self, named)

    @overload
    async def cancel(self, runs: str) -> Cancellation: ...  # type: ignore[overload-overlap]  # a str is a Sequence[str]
    @overload
    async def cancel(self, runs: Sequence[str]) -> list[Cancellation]: ...
    async def cancel(self, runs: str | Sequence[str]) -> Cancellation | list[Cancellation]:
        """Cancel a run, or several, by id: queued, waiting, or executing now. Returns per run whether it is cancelled by this.

        Nothing of a cancelled run is recorded any more, and its body is asked to stop within 2 s. Runs that it had invoked
        and was awaiting are cancelled too. One that had ended stays as it was, which `status` names.

        Raises:
            RunNotFound: Some are not there; it names them. The others are cancelled all the same.
            RedisUnavailable: Redis did not answer within 2 s. To cancel again is safe.
            StateLost: The namespace in Redis is not the one this process knew.
        """
        found, namespace = await self._cancel(runs_given(runs), "by a client")
        check_there(found, namespace)
        return found[0] if isinstance(runs, str) else found

    async def rerun(self, run_id: str, *, from_step: str | None = None, data: Any = KEPT) -> RunHandle[Any]:
        """Do a run again, whatever has become of it: a new run with the same event. The one that there is stays as it is.

        Args:
            run_id: The run.
            from_step: Keep the results that were recorded before this step's, and go on with it: the id of a step, as
                `durableq runs show` prints it, for the second time that the run used the id `id:2`. Without it the new run
                keeps nothing.
            data: Put this in place of the event's data; its name, id and time stay. Not of a batch, which stays whole.

        The new run begins now, and sees events from now on. Nobody awaits it: a child's rerun has no parent. Flow control
        delays it as any run; rate limit, debounce, batch and idempotency let it pass, since somebody asks for this very run.

        Raises:
            RunNotFound: There is no such run, or its retention is over.
            FunctionNotFound: Its function is not registered any more.
            ConfigError: It has no such step; the message lists those that it has.
            EventError, LimitExceeded: The data cannot be an event's; nothing was started.
            RunSkipped: A singleton or a pause has left it out.
            QueueFull: Redis is nearly out of memory; nothing was started.
            InvokeError: Redis did not answer within 2 s. It says whether the run may have been started, under which id.
            StateLost: The namespace in Redis is not the one this process knew.
        """
        return await self._again(run_id, from_step=from_step, data=data)

    async def send_signal(self, signal: str, data: Any = None) -> str | None:
        """Give a signal to the run that waits for it. Returns that run's id, None when nobody waits: then it is not kept.

        Raises:
            ConfigError: The name breaks the rule: 1 to 256 characters.
            CodecError, LimitExceeded: The data cannot be stored, or is too large.
            RedisUnavailable: Redis did not answer within 2 s. It says whether the signal may have been given.
            StateLost: The namespace in Redis is not the one this process knew.
        """
        prepared = prepare_signal(signal, data, self._limits)
        opened, left_s = await self._connections.within(PATIENCE_S)
        return await give(opened.calls, prepared, left_s)

    async def pause(self, function: Function[Any] | str, *, new: Literal["wait", "skip"] = "wait") -> bool:
        """Have no run of a function claimed any more, until `resume`. Returns whether that changed something.

        What is queued stays so, in its order. A run that executes goes on to the end of its turn; one that sleeps or waits
        is queued when it wakes. Times go on: `timeouts`, waits, and the `timeout` of who invoked it.

        Args:
            function: The function, or its full id, `app/function`.
            new: What becomes of what would start it meanwhile, events, ticks, invokes and reruns alike: "wait" queues it,
                "skip" leaves it out, with a record of that. Of one that is paused the other way, this is changed.

        Raises:
            ConfigError: This is no function's id, or `new` is neither of the two.
            FunctionNotFound: No such function is registered in the namespace. The message has the nearest, if one is near.
            RedisUnavailable: Redis did not answer within 2 s. To ask again is safe.
            StateLost: The namespace in Redis is not the one this process knew.
        """
        return await self._pause(function, check_mode(new))

    async def resume(self, function: Function[Any] | str) -> bool:
        """Let a paused function go on, with what was queued first. Returns whether it was paused. Raises as `pause`."""
        return await self._pause(function, RESUME)

    async def functions(self) -> list[FunctionView]:
        """Every function registered in the namespace, with its triggers, queue, workers and faults."""
        calls = await self._calls(READ_PATIENCE_S)
        async with patience():
            return await function_views(Registry(calls), Reads(calls), Crons(calls), Flow(calls))

    async def function(self, function: Function[Any] | str, *, limit: int = 20) -> FunctionFlowView:
        """One function with its flow control as it stands: limits, what is held, parked, held back, and what was left out.

        Args:
            function: The function, or its full id, `app/function`.
            limit: At most so many of each list, 1 to 1,000; how many more there are is counted.

        Raises:
            ConfigError: This is no function's id, or `limit` is out of range.
            FunctionNotFound: There is no such function in the namespace. The message has the nearest, if one is near.
            RedisUnavailable, StateLost: As for every read.
        """
        return await self._function(function, limit)

    async def limits(self, *, app: str | None = None, function: str | None = None, limit: int = 20) -> LimitsView:
        """The keys of limits, those under most pressure first: runs parked there, who holds the slots, when they open.

        Args:
            app: Only of this app's functions.
            function: Only of this function: its full id.
            limit: At most so many keys, 1 to 1,000; how many more there are is counted.

        Raises:
            ConfigError: `limit` is out of range, or nothing of this app is registered; the message lists those that are there.
            FunctionNotFound: There is no such function in the namespace. The message has the nearest, if one is near.
            RedisUnavailable, StateLost: As for every read.
        """
        check_limit(limit)
        calls = await self._calls(READ_PATIENCE_S)
        async with patience():
            return await limits_of(calls, app or "", function or "", limit)

    async def _function(self, function: object, limit: int, app: str = "") -> FunctionFlowView:
        """`app` is the one that a short id belongs to."""
        full_id = function_named("function", function, app)
        check_limit(limit)
        calls = await self._calls(READ_PATIENCE_S)
        async with patience():
            return await function_flow(calls, full_id, limit)

    async def _registered(self) -> list[str]:
        """Full ids of the functions that may be invoked."""
        calls = await self._calls(PATIENCE_S)
        async with patience():
            return sorted((await Registry(calls).read())[1])

    async def _unheard(self, name: str) -> str | None:
        """None if events of this name start or cancel something, or something waits for them; else the nearest name, or ""."""
        calls = await self._calls(READ_PATIENCE_S)
        async with patience():
            table = RoutingTable(*await Registry(calls).read())
            heard = table.hears(name) or name in table.heard or await Waits(calls).hears(name)
        return None if heard else table.nearest(name) or ""

    async def _invoke(self, function: object, data: Any, app: str = "") -> RunHandle[Any]:
        """`app` is the one that a short id belongs to."""
        full_id, limits, wanted, returns = full_id_of(function, app), self._limits, None, Any
        if isinstance(function, Function):
            limits, wanted, returns = function.limits, function.event_type, result_type(function.handler)
        start = prepare(full_id, data, limits, wanted, self._clock)
        try:
            opened, left_s = await self._connections.within(PATIENCE_S)
        except RedisUnavailable as error:
            raise InvokeError(str(error), start.run_id, maybe_started=False) from error
        await opened.starter.start(start, left_s)
        return RunHandle(self, start.run_id, returns)

    async def _again(self, run_id: str, **how: Any) -> RunHandle[Any]:
        """As `Again` has it."""
        (source,) = runs_given([run_id], "rerun")
        if not is_run_id(source):
            raise run_not_found(source, (await self._calls(PATIENCE_S)).keys.namespace)
        again = Again(source, rerun_run_id(new_token(), source, self._clock.wall_ms()), **how)
        try:
            opened, left_s = await self._connections.within(PATIENCE_S)
        except RedisUnavailable as error:
            raise InvokeError(str(error), again.run_id, maybe_started=False) from error
        await Rerunner(opened.calls, self._limits).one(again, opened.answers.client, left_s)
        return RunHandle(self, again.run_id)

    async def _pause(self, function: object, mode: str, app: str = "") -> bool:
        """`mode` "" resumes. `app` is the one that a short id belongs to."""
        full_id = function_named("pause" if mode else "resume", function, app)
        opened, left_s = await self._connections.within(PATIENCE_S)
        return await pause(opened.calls, full_id, mode, left_s)

    async def _cancel(self, runs: Sequence[str], why: str) -> tuple[list[Cancellation], str]:
        """What became of them, those that are not there among them, and the namespace."""
        opened, left_s = await self._connections.within(PATIENCE_S)
        return await cancel(opened.calls, runs, why, left_s), opened.calls.keys.namespace

    async def _ended(self, run_id: str, within_s: float | None) -> Ended:
        """How a run ended, once it has; as `Answers.ended`."""
        patience_s = READ_PATIENCE_S if within_s is None else min(READ_PATIENCE_S, max(LEAST_LOOK_S, within_s))
        opened = await self._connections.opened(patience_s)
        return await opened.answers.ended(run_id, within_s)

    async def _status(self, run_id: str) -> str:
        calls = await self._calls(READ_PATIENCE_S)
        async with patience():
            state = await Ends(calls).state(run_id)
        if state is None:
            raise run_not_found(run_id, calls.keys.namespace)
        return state.label

    async def aclose(self) -> None:
        """Close this loop's connection, and the one of `.sync`."""
        await self._connections.close()
        self._portal.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    def _sync_of(self, app: str) -> SyncClient:
        """`sync`, for one app."""
        return SyncClient(self, self._portal, app)

    def _move_to(self, place: Place) -> None:
        """Connect there from here on. Each loop closes its old connection when it next uses this client."""
        self._connections.place = place

    def _go_through(self, calls: Callable[[], Calls], turn: Turn | None = None) -> Callable[[], None]:
        """Connect through this instead, as tests do, until what is returned is called. The latest of several counts.

        `turn` executes what is due: who waits for a result there has it called, since nothing else would.
        """
        door = Door(calls, turn)
        self._connections.doors.append(door)
        return lambda: self._connections.doors.remove(door)

    async def _calls(self, patience_s: float) -> Calls:
        """This loop's verbs, opened. Raises RedisUnavailable after `patience_s`."""
        return (await self._connections.opened(patience_s)).calls
