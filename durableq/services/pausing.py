"""Pauses functions and lets them go on: claims pass a paused one over, and nothing that is queued is touched (decision 015)."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Final

from durableq.model.function import ON_FAILURE, Function
from durableq.services.starting import not_found
from durableq.store.calls import Calls
from durableq.store.flow import RESUME, SKIP, WAIT, Flow
from durableq.store.registry import Registry
from durableq.words.errors import ConfigError, RedisUnavailable
from durableq.words.ids import check_id
from durableq.words.shown import shown

MODES: Final = (WAIT, SKIP)


def check_mode(new: object) -> str:
    """What becomes of new triggers meanwhile. Raises ConfigError."""
    if new not in MODES:
        raise ConfigError(
            f"pause new= must be 'wait' (they are queued) or 'skip' (they are left out), not {shown(new)}"
        )
    return str(new)


def function_named(verb: str, function: object, app: str = "") -> str:
    """The full id of a function, given as such, by `app/function`, or with an app by its short id. Raises ConfigError."""
    if isinstance(function, Function):
        return function.full_id
    if not isinstance(function, str):
        raise ConfigError(f"{verb} takes a function or its id, not {type(function).__name__}: {shown(function)}")
    named, slash, short = function.partition("/")
    if not slash:
        named, short = app, function
    if not named:
        raise ConfigError(
            f"a client belongs to no app: write the function's full id, app/function, not {shown(function)}"
        )
    checked = check_id("function id", short.removesuffix(ON_FAILURE))
    return f"{check_id('app id', named)}/{checked}{short[len(checked) :]}"


async def pause(calls: Calls, function: str, mode: str, within_s: float) -> bool:
    """Pause the function of this full id (`wait`, `skip`), or let it go on (""). Returns whether that changed something.

    Raises:
        FunctionNotFound: No such function is registered. The message has the nearest, if one is near.
        RedisUnavailable: Redis did not answer in time. To ask again is safe.
        StateLost: The namespace in Redis is not the one this process knew.
    """
    try:
        async with asyncio.timeout(within_s):
            (changed,) = await Flow(calls).pause_functions([function], mode)
            if not changed and (changed is None or mode == RESUME):
                _, declarations = await Registry(calls).read()
                if function not in declarations:
                    raise not_found(function, declarations, calls.keys.namespace)
            return bool(changed)
    except TimeoutError:
        raise RedisUnavailable(f"Redis did not answer within {within_s:g} s: to ask again is safe") from None


async def paused_functions(flow: Flow, functions: Iterable[str]) -> dict[str, tuple[str, int]]:
    """Those of these full ids that are paused: how, and since when in ms."""
    found = {}
    for app in sorted({function.partition("/")[0] for function in functions}):
        for name, pause in (await flow.paused(app)).items():
            found[f"{app}/{name}"] = pause
    return found
