"""`ctx.step` of `async` functions: the verbs, each a coroutine that performs one step when it is awaited."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine, Sequence
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, Any, Literal, ParamSpec, Protocol, TypeVar, overload

from durableq.engine.admission import refuse_uncallable
from durableq.engine.attempt import StepCall
from durableq.engine.event_waits import wait_for_event, wanted_event
from durableq.engine.invoking import invoke, wanted_child
from durableq.engine.options import PLAIN, StepOptions
from durableq.engine.perform import perform, value_of
from durableq.engine.scope import HERE, Scope
from durableq.engine.sending import sending
from durableq.engine.signal_waits import sending_signal, wait_for_signal, wanted_signal
from durableq.engine.sleeping import sleep
from durableq.model.backoff import Backoff
from durableq.model.event import Event
from durableq.model.function import Function
from durableq.model.memo import MemoKind
from durableq.model.signal import Signal
from durableq.words.familiar import familiar
from durableq.words.periods import Duration, to_ms, when_ms

if TYPE_CHECKING:
    from durableq.engine.replay import Replay

# The verbs return Coroutine[object, object, T], since mypy loses the types in a gather of Coroutine[Any, Any, T].
P = ParamSpec("P")
T = TypeVar("T")
Out = TypeVar("Out")

_TYPED = ("output_type",)
_ATTEMPTED = ("retries", "timeout_ms", "backoff")
"""Options that verbs without, and with, a body of ours have a use for."""


@familiar
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
        self._options.refuse("send_event", allowed=_ATTEMPTED)
        naming = self._replay.naming
        key = naming.key(id)
        body = sending(self._replay, key, events)
        coroutine = self._perform(StepCall(key, id, "send_event", body, body, self._options))
        naming.called(key, id, coroutine)
        return coroutine

    def wait_for_event(
        self, id: str, event: str, *, timeout: Duration, if_: str | None = None
    ) -> Coroutine[object, object, Event[Any] | None]:
        """Wait for an event of this name: the first that the run has not had yet, since the event that started it.

        Args:
            id: The step's id.
            event: The event's name. No pattern; `durableq/function.finished` and its like are allowed.
            timeout: How long at most, up to 366 days. 0 looks only at what has come already.
            if_: A condition over `event`, which started the run, and `async`, the one that arrives:
                `event.data.order_id == async.data.order_id`. Without one, any event of the name.

        Returns:
            The whole event, its data as `options(output_type=…)` says; None when the time is over.

        Raises:
            ConfigError: An argument breaks a rule.
            ExpressionError: `if_` does not compile; the message points at the character.
        """
        self._options.refuse("wait_for_event", allowed=_TYPED)
        wanted = wanted_event(id, event, timeout, if_, self._options.output_type)
        return self._named(id, lambda key: wait_for_event(self._replay, key, id, wanted))

    def wait_for_signal(
        self, id: str, signal: str, *, timeout: Duration, on_conflict: Literal["fail", "replace"] = "fail"
    ) -> Coroutine[object, object, Signal[Any] | None]:
        """Wait until somebody sends this signal. At most one run of the namespace waits for a signal at a time.

        Args:
            id: The step's id.
            signal: The signal's name, 1 to 256 characters. Unlike an event it reaches only who waits when it is sent.
            timeout: How long at most, up to 366 days.
            on_conflict: Where another run waits for it already: "fail" raises StepError, "replace" takes it over, and
                that run's wait can only time out.

        Returns:
            The signal, its data as `options(output_type=…)` says; None when the time is over.

        Raises:
            StepError: It is taken; `error.matches(dq.SignalTaken)`.
            ConfigError: An argument breaks a rule.
        """
        self._options.refuse("wait_for_signal", allowed=_TYPED)
        wanted = wanted_signal(id, signal, timeout, on_conflict, self._options.output_type)
        return self._named(id, lambda key: wait_for_signal(self._replay, key, id, wanted))

    def send_signal(self, id: str, signal: str, data: Any = None) -> Coroutine[object, object, str | None]:
        """Send a signal to the run that waits for it, as a step. Returns that run's id; None if nobody waits.

        It is delivered once, over whatever attempts. `data` is what the codec can store, or a dataclass or model.

        Raises StepError when it could not be sent or stored, ConfigError for an argument that breaks a rule.
        """
        self._options.refuse("send_signal", allowed=_ATTEMPTED)
        naming = self._replay.naming
        key = naming.key(id)
        body = sending_signal(self._replay, key, id, signal, data)
        coroutine = self._perform(StepCall(key, id, "send_signal", body, body, self._options))
        naming.called(key, id, coroutine)
        return coroutine

    @overload
    def invoke(
        self, id: str, function: Function[T], *, data: Any = None, timeout: Duration | None = None
    ) -> Coroutine[object, object, T]: ...
    @overload
    def invoke(
        self, id: str, function: str, *, data: Any = None, timeout: Duration | None = None
    ) -> Coroutine[object, object, Any]: ...
    def invoke(
        self, id: str, function: Function[Any] | str, *, data: Any = None, timeout: Duration | None = None
    ) -> Coroutine[object, object, Any]:
        """Start a run of another function and wait for what it comes to.

        Args:
            id: The step's id.
            function: The function, or its id: "app/function", or "function" for one of the same app.
            data: The `data` of the event that it is called with: a mapping, dataclass or model; none is an empty one.
            timeout: How long at most, up to 366 days, which is also the default. The child goes on by itself afterwards.

        Returns:
            The child's result, as the function is annotated to return it or `options(output_type=…)` says.

        Raises:
            StepError: The child failed, with its name, message and stack. Or it was cancelled, flow control did not start it,
                or there is no such function: `error.matches(dq.RunCancelled)`, `dq.RunSkipped`, `dq.FunctionNotFound`.
            InvokeTimeout: It has not ended in time.
            ConfigError, EventError, LimitExceeded: An argument breaks a rule.
        """
        self._options.refuse("invoke", allowed=_TYPED)
        wanted = wanted_child(self._replay, id, function, data, timeout, self._options.output_type)
        return self._named(id, lambda key: invoke(self._replay, key, id, wanted))

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
            output_type: The type as which the result is stored and comes back, instead of the return annotation; of an event
                or a signal that is waited for, its data's; of an invoke, that of the child's result.

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

    def _named(self, id: str, verb: Callable[[str], Coroutine[Any, Any, T]]) -> Coroutine[object, object, T]:
        """A verb without a body, under the key of the next use of this id."""
        naming = self._replay.naming
        key = naming.key(id)
        coroutine = self._begin(key, verb)
        naming.called(key, id, coroutine)
        return coroutine

    async def _begin(self, key: str, verb: Callable[[str], Coroutine[Any, Any, T]]) -> T:
        self._replay.naming.begun(key)
        return await verb(key)

    def _sleep(self, id: str, op: str, due_at_ms: Callable[[int], int]) -> Coroutine[object, object, None]:
        return self._named(id, lambda key: sleep(self._replay, key, id, op, due_at_ms))


class TypedStep(Protocol[Out]):
    """What `options(output_type=T)` gives to type checkers: the verbs that give a value give a T.

    At run time it is a Step.
    """

    def run(
        self, id: str, fn: Callable[P, Any], /, *args: P.args, **kwargs: P.kwargs
    ) -> Coroutine[object, object, Out]:
        """As `Step.run`."""
        ...

    def wait_for_event(
        self, id: str, event: str, *, timeout: Duration, if_: str | None = None
    ) -> Coroutine[object, object, Event[Out] | None]:
        """As `Step.wait_for_event`."""
        ...

    def wait_for_signal(
        self, id: str, signal: str, *, timeout: Duration, on_conflict: Literal["fail", "replace"] = "fail"
    ) -> Coroutine[object, object, Signal[Out] | None]:
        """As `Step.wait_for_signal`."""
        ...

    def invoke(
        self, id: str, function: Function[Any] | str, *, data: Any = None, timeout: Duration | None = None
    ) -> Coroutine[object, object, Out]:
        """As `Step.invoke`."""
        ...
