"""`ctx.step` of `async` functions: the verbs, each a coroutine that performs one step when it is awaited."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine, Sequence
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, Any, ParamSpec, Protocol, TypeVar, overload

from durableq.engine.admission import refuse_uncallable
from durableq.engine.attempt import StepCall
from durableq.engine.options import PLAIN, StepOptions
from durableq.engine.perform import perform, value_of
from durableq.engine.scope import HERE, Scope
from durableq.engine.sending import sending
from durableq.engine.sleeping import sleep
from durableq.model.backoff import Backoff
from durableq.model.event import Event
from durableq.model.memo import MemoKind
from durableq.words.periods import Duration, to_ms, when_ms

if TYPE_CHECKING:
    from durableq.engine.replay import Replay

# The verbs return Coroutine[object, object, T], since mypy loses the types in a gather of Coroutine[Any, Any, T].
P = ParamSpec("P")
T = TypeVar("T")
Out = TypeVar("Out", covariant=True)


class Step:
    """The verbs of `ctx.step`. A step is recorded once under its id; used again in a run, an id counts up by itself."""

    __slots__ = ("_options", "_own", "_replay")

    def __init__(self, replay: Replay, own: Scope, options: StepOptions = PLAIN) -> None:
        """`own` is the scope of the function's code."""
        self._replay = replay
        self._own = own
        self._options = options

    @overload
    def run(
        self, id: str, fn: Callable[P, Awaitable[T]], /, *args: P.args, **kwargs: P.kwargs
    ) -> Coroutine[object, object, T]: ...
    @overload
    def run(
        self, id: str, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs
    ) -> Coroutine[object, object, T]: ...
    def run(self, id: str, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Coroutine[object, object, Any]:
        """Execute `fn(*args, **kwargs)` at least once and record what it returns, once.

        Args:
            id: The step's id, 1 to 256 characters.
            fn: `async def`, awaited where the step is; or `def`, executed in a thread. What it returns must be storable:
                the codec's types, or a dataclass or pydantic model that its return annotation names.

        Returns:
            What was recorded, as the annotated type.

        Raises:
            StepError: its attempts are used up, or it raised NonRetriableError.
            ConfigError: the id is not allowed or was recorded as another kind of step, or `fn` is no callable.
            NestedStep: it is called inside another step's body.
            LimitExceeded: the run has as many steps as it may have.
        """
        if not callable(fn):
            refuse_uncallable(id, fn)
        naming = self._replay.naming
        key = naming.key(id)
        coroutine = self._run(key, id, fn, args, kwargs)
        naming.called(key, id, coroutine)
        return coroutine

    def sleep(self, id: str, duration: Duration) -> Coroutine[object, object, None]:
        """Wait for this long: a timedelta, text such as "10m", or seconds; at most 366 days. Holds no worker meanwhile.

        Raises ConfigError for a duration or an id that is not allowed.
        """
        self._options.refuse("sleep")
        length_ms = to_ms(f"sleep {id!r}", duration)
        return self._sleep(id, "sleep", lambda now_ms: now_ms + length_ms)

    def sleep_until(self, id: str, when: datetime | str | float) -> Coroutine[object, object, None]:
        """Wait until this time: an aware datetime, ISO 8601 text with an offset, or unix seconds. The past is no wait.

        Raises ConfigError for a time without zone or more than 366 days ahead, or an id that is not allowed.
        """
        self._options.refuse("sleep_until")
        at_ms = when_ms(f"sleep_until {id!r}", when, self._replay.port.now_ms())
        return self._sleep(id, "sleep_until", lambda _now_ms: at_ms)

    def send_event(self, id: str, events: Event[Any] | Sequence[Event[Any]]) -> Coroutine[object, object, list[str]]:
        """Send an event or several, as a step. Returns their ids, in their order.

        Events without an id of their own get one that stays the same over attempts, so none is sent twice.

        Raises StepError when they could not be sent, ConfigError for an id that is not allowed.
        """
        self._options.refuse("send_event", output_type_only=True)
        naming = self._replay.naming
        key = naming.key(id)
        body = sending(self._replay, key, events)
        coroutine = self._perform(StepCall(key, id, "send_event", body, body, self._options))
        naming.called(key, id, coroutine)
        return coroutine

    @overload
    def options(
        self,
        *,
        output_type: type[T],
        retries: int | None = None,
        timeout: Duration | None = None,
        backoff: Backoff | None = None,
    ) -> TypedStep[T]: ...
    @overload
    def options(
        self,
        *,
        retries: int | None = None,
        timeout: Duration | None = None,
        backoff: Backoff | None = None,
        output_type: None = None,
    ) -> Step: ...
    def options(
        self,
        *,
        retries: int | None = None,
        timeout: Duration | None = None,
        backoff: Backoff | None = None,
        output_type: Any = None,
    ) -> Any:
        """The same verbs with options for this step: `ctx.step.options(retries=0, timeout="30s").run("id", fn)`.

        Args:
            retries: Attempts after the first, 0 to 20, instead of the function's.
            timeout: How long one attempt's body may run; then it fails with StepTimeout and is retried.
            backoff: The delays between attempts, instead of the function's.
            output_type: The type as which the result is stored and comes back, instead of the return annotation.

        Raises ConfigError for a value that is not allowed; the verbs do for an option that they have no use for.
        """
        return Step(self._replay, self._own, StepOptions.of(retries, timeout, backoff, output_type))

    async def _run(self, key: str, id: str, fn: Callable[..., Any], args: Any, kwargs: dict[str, Any]) -> Any:
        replay = self._replay
        replay.naming.begun(key)
        memo = replay.memos.by_key.get(key)
        if memo is not None and memo.kind is MemoKind.DATA and replay.alone and HERE.get() is self._own:
            replay.reading.answered(memo)  # the quick way through a replay; everything else takes the long one
            return value_of(memo, fn, self._options)
        return await perform(replay, StepCall(key, id, "run", fn, partial(fn, *args, **kwargs), self._options))

    async def _perform(self, call: StepCall) -> Any:
        self._replay.naming.begun(call.key)
        return await perform(self._replay, call)

    def _sleep(self, id: str, op: str, due_at_ms: Callable[[int], int]) -> Coroutine[object, object, None]:
        naming = self._replay.naming
        key = naming.key(id)
        coroutine = self._begin_sleep(key, id, op, due_at_ms)
        naming.called(key, id, coroutine)
        return coroutine

    async def _begin_sleep(self, key: str, id: str, op: str, due_at_ms: Callable[[int], int]) -> None:
        self._replay.naming.begun(key)
        await sleep(self._replay, key, id, op, due_at_ms)


class TypedStep(Protocol[Out]):
    """What `options(output_type=T)` gives to type checkers: `run` returns T, whatever the callable is annotated with.

    At run time it is a Step.
    """

    def run(
        self, id: str, fn: Callable[P, Any], /, *args: P.args, **kwargs: P.kwargs
    ) -> Coroutine[object, object, Out]:
        """As `Step.run`."""
        ...
