"""The app: functions of one deployment, declared by decorator, and a client to start them with."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Coroutine, Mapping, Sequence
from types import MappingProxyType
from typing import Any, Literal, TypeVar, cast, overload

from durableq.client import Client
from durableq.engine.context import Context
from durableq.engine.sync import SyncContext
from durableq.handles import RunHandle
from durableq.model.backoff import Backoff
from durableq.model.cancelling import CancelOn, Timeouts
from durableq.model.collecting import Batch, Debounce
from durableq.model.concurrency import Concurrency
from durableq.model.config import Place
from durableq.model.event import Event
from durableq.model.function import ON_FAILURE, Function, Options, check_options, failed_trigger
from durableq.model.limits import Limits
from durableq.model.pacing import RateLimit, Throttle
from durableq.model.retry import DEFAULT_RETRIES
from durableq.model.singleton import Singleton
from durableq.model.trigger import Trigger
from durableq.services.cancelling import Cancellation
from durableq.sync import SyncClient
from durableq.typing_of_handlers import event_type_of
from durableq.words.errors import ConfigError, SyncInLoop
from durableq.words.familiar import familiar
from durableq.words.ids import check_id

R = TypeVar("R")


class Declare:
    """What `app.function(…)` returns: takes the handler, gives the Function."""

    def __init__(self, app: App, options: Options) -> None:
        self._app = app
        self._options = options

    @overload
    def __call__(self, handler: Callable[[Context[Any]], Coroutine[Any, Any, R]]) -> Function[R]: ...
    @overload
    def __call__(self, handler: Callable[[SyncContext[Any]], R]) -> Function[R]: ...
    def __call__(self, handler: Callable[..., Any]) -> Function[Any]:
        return self._app._declare(handler, self._options)


@familiar
class App:
    """The functions that one deployment serves.

    Args:
        id: Stable id, `[a-z0-9][a-z0-9._-]{0,63}`; functions are known as `app/function`.
        redis_url: Where its client sends to. A worker's own URL comes first; without either DURABLEQ_URL, REDIS_TLS_URL,
            REDIS_URL, VALKEY_URL.
        namespace: The wall within which apps share events; else DURABLEQ_NAMESPACE, else "default".
        include: Modules that declare functions of this app, by name. They are imported when a worker, `dev`, `sync` or
            `check` loads the app, not here: so they may import the app.
        limits: Steps per run, and sizes; see `Limits`.

    Raises:
        ConfigError: An id or a module's name breaks the rule.

    Making one touches neither environment nor network, and imports nothing.
    """

    def __init__(
        self,
        id: str,
        *,
        redis_url: str | None = None,
        namespace: str | None = None,
        include: Sequence[str] = (),
        limits: Limits | None = None,
    ) -> None:
        self.id = check_id("app id", id)
        self._include = _check_include(self.id, include)
        if namespace is not None:
            check_id("namespace", namespace)
        self._redis_url = redis_url
        self._namespace = namespace
        self._limits = limits or Limits()
        self._functions: dict[str, Function[Any]] = {}
        self._client: Client | None = None
        self._sync: SyncClient | None = None

    @property
    def functions(self) -> Mapping[str, Function[Any]]:
        """What has been declared, by short id."""
        return MappingProxyType(self._functions)

    @property
    def include(self) -> tuple[str, ...]:
        """Names of the modules to import when a process loads this app."""
        return self._include

    @property
    def namespace(self) -> str | None:
        """The namespace that was given; None leaves it to the environment or the command line."""
        return self._namespace

    def function(
        self,
        id: str,
        *,
        triggers: Trigger | Sequence[Trigger] = (),
        retries: int = DEFAULT_RETRIES,
        backoff: Backoff | None = None,
        cancel_on: CancelOn | Sequence[CancelOn] = (),
        timeouts: Timeouts | None = None,
        on_failure: Callable[[Context[Any]], Any] | Callable[[SyncContext[Any]], Any] | None = None,
        concurrency: int | Concurrency | Sequence[int | Concurrency] | None = None,
        throttle: Throttle | None = None,
        rate_limit: RateLimit | None = None,
        debounce: Debounce | None = None,
        batch: Batch | None = None,
        priority: str | None = None,
        singleton: Singleton | Literal["skip", "cancel"] | None = None,
        idempotency: str | None = None,
        name: str | None = None,
    ) -> Declare:
        """Declare a function: `@app.function("process-order", triggers=[EventTrigger("order/created")])`.

        Args:
            id: Stable id, unique in the app. Changing it makes another function.
            triggers: What starts a run, at most 10; an event starts at most one run of a function. Without any a function
                is started by `invoke` alone.
            retries: 0 to 20, per step, and for the code between steps: 4 means 5 attempts.
            backoff: The delays between attempts; None for the table 15 s, 30 s, 1 m, 2 m, 5 m, 10 m … with jitter.
            cancel_on: Events that cancel its runs, at most 5.
            timeouts: When a run is cancelled that has not begun or not ended.
            on_failure: What is executed when a run has failed for good: a `def` or `async def` function of a context, whose
                event is `durableq/function.failed`. It is a function of its own, `<id>:on-failure`, with runs, steps and
                retries of its own. A run that was cancelled has not failed.
            concurrency: How many runs execute at once: a number, a `Concurrency`, or several.
            throttle: The pace at which runs start; what is too much waits.
            rate_limit: How many runs start in a period; what is too much is dropped, visibly.
            debounce: One run once no event has come for a while, with the newest.
            batch: One run for several events.
            priority: An expression over the event that comes to whole seconds, -600 to 600, by which a run is taken
                earlier than those of the same function that were queued with it. What is no whole number counts as 0.
            singleton: One run at a time: what comes meanwhile is skipped, or takes its place. "skip" is `Singleton("skip")`.
            idempotency: An expression over the event that comes to a key: of the events with the same key within 24 h only
                the first starts a run. One for which it comes to nothing, or to `false`, starts its run.
            name: For people; the id by default.

        Raises:
            ConfigError: An option breaks a rule; the message names the option, the rule and the value.
        """
        options = check_options(
            id,
            triggers,
            retries,
            backoff,
            name,
            cancel_on,
            timeouts,
            on_failure,
            concurrency=concurrency,
            throttle=throttle,
            rate_limit=rate_limit,
            debounce=debounce,
            batch=batch,
            priority=priority,
            singleton=singleton,
            idempotency=idempotency,
        )
        if on_failure is not None:
            event_type_of(on_failure, f"function {options.id!r}: on_failure")
        return Declare(self, options)

    async def send(self, events: Event[Any] | Sequence[Event[Any]]) -> list[str]:
        """Accept one event or a list; see `Client.send`."""
        return await self.client.send(events)

    def send_sync(self, events: Event[Any] | Sequence[Event[Any]]) -> list[str]:
        """`send` for plain code: safe in threads and after a fork. Inside a running loop it raises, naming `await`."""
        try:
            return self.client.sync.send(events)
        except SyncInLoop:
            raise SyncInLoop("this would block the running event loop: write `await app.send(…)` here") from None

    @overload
    async def invoke(self, function: Function[R], *, data: Any = None) -> RunHandle[R]: ...
    @overload
    async def invoke(self, function: str, *, data: Any = None) -> RunHandle[Any]: ...
    async def invoke(self, function: Function[R] | str, *, data: Any = None) -> RunHandle[Any]:
        """Start a run of one function: `handle = await app.invoke(process_order, data={…})`, then `await handle.result()`.

        By id it is `app/function`, or the short id of one of this app. Everything else as `Client.invoke`.
        """
        return await self.client._invoke(function, data, self.id)

    @overload
    async def cancel(self, runs: str) -> Cancellation: ...  # type: ignore[overload-overlap]  # a str is a Sequence[str]
    @overload
    async def cancel(self, runs: Sequence[str]) -> list[Cancellation]: ...
    async def cancel(self, runs: str | Sequence[str]) -> Cancellation | list[Cancellation]:
        """Cancel a run, or several, by id; see `Client.cancel`."""
        return await self.client.cancel(runs)

    @property
    def client(self) -> Client:
        """Everything else: runs, functions, signals."""
        if self._client is None:
            self._client = Client(self._redis_url, namespace=self._namespace, limits=self._limits)
        return self._client

    @property
    def sync(self) -> SyncClient:
        """`client.sync`, which takes short ids of this app as well."""
        if self._sync is None:
            self._sync = self.client._sync_of(self.id)
        return self._sync

    def connect_to(self, redis_url: str, namespace: str) -> None:
        """Use this Redis and namespace from here on: what a worker was told on its command line comes first.

        Raises:
            ConfigError: The app was declared for another namespace.
        """
        if self._namespace is not None and self._namespace != namespace:
            raise ConfigError(
                f"app {self.id!r} was declared for namespace {self._namespace!r}, but this process works in {namespace!r}"
            )
        self._redis_url, self._namespace = redis_url, namespace
        if self._client is not None:
            self._client._move_to(Place(redis_url, namespace))  # the same object: others may hold it

    def _declare(self, handler: Callable[..., Any], options: Options) -> Function[Any]:
        where = f"function {options.id!r}"
        if isinstance(handler, Function):
            raise ConfigError(
                f"{where}: {handler.full_id} is declared already; give its handler a second decorator of its own"
            )
        if not callable(handler):
            raise ConfigError(f"{where}: the decorator must stand above a function, not above {handler!r}")
        declared = self._made(handler, options, where)
        known = self._functions.get(options.id)
        if known is not None:
            raise ConfigError(
                f"{where} is declared twice in app {self.id!r}: at {known.origin} and at {declared.origin}. Give one another id"
            )
        self._functions[declared.id] = declared
        if options.on_failure is not None:
            failing = Options(
                options.id + ON_FAILURE, (failed_trigger(self.id, options.id),), name=f"{options.name} (on failure)"
            )
            self._functions[failing.id] = self._made(options.on_failure, failing, f"{where}: on_failure")
        return declared

    def _made(self, handler: Callable[..., Any], options: Options, where: str) -> Function[Any]:
        return Function(
            id=options.id,
            app_id=self.id,
            handler=handler,
            triggers=options.triggers,
            retries=options.retries,
            backoff=options.backoff,
            name=options.name,
            is_async=inspect.iscoroutinefunction(handler),
            limits=self._limits,
            origin=_origin(handler),
            event_type=event_type_of(handler, where),
            cancel_on=options.cancel_on,
            timeouts=options.timeouts,
            flow=options.flow,
        )


def _check_include(app_id: str, include: object) -> tuple[str, ...]:
    where = f"app {app_id!r}: include"
    if isinstance(include, str) or not isinstance(include, Sequence):
        raise ConfigError(f"{where} must be a list of modules such as ['shop.orders'], not {include!r}")
    for name in include:
        if not isinstance(name, str) or not all(part.isidentifier() for part in name.split(".")):
            raise ConfigError(f"{where} must hold names as in `import shop.orders`, not {name!r}")
    return tuple(include)


def _origin(handler: Callable[..., Any]) -> str:
    code = getattr(inspect.unwrap(handler), "__code__", None)
    module = getattr(handler, "__module__", "?")
    return f"{module}:{code.co_firstlineno}" if code is not None else cast(str, module)
