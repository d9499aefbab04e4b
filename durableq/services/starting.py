"""Starts runs from outside: what `client.invoke` does. The run's id is made here, so that what is sent twice is one run."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from difflib import get_close_matches
from typing import Any, Final, NamedTuple

from durableq.model.event import read_head
from durableq.model.function import Function, check_invocable
from durableq.model.invoking import encode_invoked
from durableq.model.limits import Limits
from durableq.model.routing import NEAR
from durableq.model.skipping import skipped
from durableq.services.declared import Declared
from durableq.store.calls import Calls
from durableq.store.failures import Unavailable
from durableq.store.invokes import Invokes, NewRun
from durableq.store.registry import Registry
from durableq.words.clock import Clock
from durableq.words.errors import ConfigError, FunctionNotFound, InvokeError, RedisUnavailable
from durableq.words.ids import check_id, new_token, run_created_at_ms, started_run_id
from durableq.words.shown import shown

SHARD: Final = 0


def full_id_of(function: object, app: str = "") -> str:
    """The full id of what somebody wants to invoke: a Function, `app/function`, or with an app the function's short id.

    Raises ConfigError.
    """
    if isinstance(function, Function):
        return function.full_id
    if not isinstance(function, str):
        if callable(function):
            name = getattr(function, "__name__", "it")
            raise ConfigError(
                f"invoke takes a function of an app: put `@app.function(…)` above {name}, or name it by its id"
            )
        raise ConfigError(f"invoke takes a function or its id, not {type(function).__name__}: {shown(function)}")
    named, slash, short = function.partition("/")
    if slash:
        return f"{check_id('app id', named)}/{check_invocable('function id', short)}"
    if not app:
        raise ConfigError(
            f"a client belongs to no app: write the function's full id, app/function, not {shown(function)}"
        )
    return f"{app}/{check_invocable('function id', function)}"


class Start(NamedTuple):
    """A run that may be started: checked, with its id, encoded."""

    run_id: str
    function: str
    given: bytes


def prepare(function: str, data: Any, limits: Limits, wanted: Any, clock: Clock) -> Start:
    """A run of the function of this full id. `wanted` is the type of its data, if that is known.

    Raises EventError, LimitExceeded.
    """
    run_id = started_run_id(new_token(), function, clock.wall_ms(), SHARD)
    return Start(run_id, function, encode_invoked(function, run_id, data, limits, wanted))


class Starter:
    """Starts runs over one connection. `client` is whom Redis is to tell their ends."""

    def __init__(self, calls: Calls, client: str) -> None:
        self._calls = calls
        self._client = client
        self._declared = Declared(Registry(calls))

    async def start(self, start: Start, within_s: float) -> None:
        """Start it.

        Raises:
            FunctionNotFound: No such function is registered.
            RunSkipped: Flow control has left it out. It names the reason, the key, and the run that has it.
            QueueFull: Redis is nearly out of memory.
            InvokeError: Redis did not answer in time. It says whether the run may have been started.
            StateLost: The namespace in Redis is not the one this process knew.
        """
        run_id, function, given = start
        try:
            async with asyncio.timeout(within_s):
                event = read_head(given).scope(
                    f"{run_created_at_ms(run_id)}-0"
                )  # as near as can be to what the run will see
                extras = await self._declared.extras(function, event)
                if extras is None:
                    raise await self._not_found(function)
        except (TimeoutError, RedisUnavailable) as error:
            reason = str(error) or f"Redis did not answer within {within_s:g} s"
            raise InvokeError(reason, run_id, maybe_started=False) from error
        new = NewRun(run_id, function, given, extras)
        try:
            (there,) = await Invokes(self._calls).start_runs(self._client, [new], within_s)
        except Unavailable as error:
            raise InvokeError(str(error), run_id, maybe_started=error.maybe_applied) from error
        if isinstance(there, str):
            raise skipped(function, there)
        if not there:
            raise await self._not_found(function)

    async def _not_found(self, function: str) -> FunctionNotFound:
        _, declarations = await Registry(self._calls).read()
        return not_found(function, declarations, self._calls.keys.namespace)


def not_found(function: str, registered: Iterable[str], namespace: str) -> FunctionNotFound:
    """The error for an id that is not registered, with the one that was probably meant."""
    near = get_close_matches(function, list(registered), n=1, cutoff=NEAR)
    hint = f"was {near[0]!r} meant?" if near else "start a worker that has it, or run `durableq sync`"
    return FunctionNotFound(f"no function {function!r} is registered in namespace {namespace!r}: {hint}")
