"""What a handler's annotations say: the type of its events' data, and whether its context fits its colour."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any, get_args, get_origin, get_type_hints

from durableq.engine.context import Context
from durableq.engine.sync import SyncContext
from durableq.words.errors import ConfigError
from durableq.words.shown import shown


def event_type_of(handler: Callable[..., Any], where: str) -> Any:
    """T of `Context[T]` in the handler's first parameter, or None for plain dicts.

    Raises:
        ConfigError: A handler without a parameter for its context, or with a `yield`; a `def` function annotated
            `Context`, or an `async def` annotated `SyncContext`; an annotation that cannot be resolved.
    """
    if inspect.isgeneratorfunction(handler) or inspect.isasyncgenfunction(handler):
        raise ConfigError(f"{where}: the function has a `yield`, so calling it executes nothing: use `return`")
    parameter = _first_parameter(handler, where)
    annotation = _resolved(handler, parameter, where)
    if annotation is None:
        return None
    origin = get_origin(annotation) or annotation
    is_async = inspect.iscoroutinefunction(handler)
    if origin is Context and not is_async:
        raise ConfigError(
            f"{where}: a `def` function gets a SyncContext: annotate `{parameter.name}: SyncContext`, or make it `async def`"
        )
    if origin is SyncContext and is_async:
        raise ConfigError(
            f"{where}: an `async def` function gets a Context: annotate `{parameter.name}: Context`, or make it `def`"
        )
    if origin not in (Context, SyncContext):
        return None
    given = get_args(annotation)
    if not given or given[0] is Any or given[0] is dict or get_origin(given[0]) is dict:
        return None
    return given[0]


def _first_parameter(handler: Callable[..., Any], where: str) -> inspect.Parameter:
    try:
        parameters = list(inspect.signature(handler).parameters.values())
    except (TypeError, ValueError):
        raise ConfigError(
            f"{where}: Python cannot say what {shown(handler)} takes: wrap it in a function(ctx)"
        ) from None
    required = [p for p in parameters if p.default is p.empty and p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)]
    takes_one = bool(parameters) and parameters[0].kind in (
        inspect.Parameter.POSITIONAL_ONLY,
        inspect.Parameter.POSITIONAL_OR_KEYWORD,
        inspect.Parameter.VAR_POSITIONAL,
    )
    if not takes_one or len(required) > 1:
        raise ConfigError(
            f"{where}: the function must take one argument, its context: `def {getattr(handler, '__name__', 'f')}(ctx)`"
        )
    return parameters[0]


def _resolved(handler: Callable[..., Any], parameter: inspect.Parameter, where: str) -> Any:
    if parameter.annotation is parameter.empty:
        return None
    if not isinstance(parameter.annotation, str):
        return parameter.annotation
    try:
        return get_type_hints(handler).get(parameter.name)
    except NameError as error:
        if "Context" in parameter.annotation:
            raise ConfigError(
                f"{where}: the annotation {parameter.annotation!r} of {parameter.name!r} cannot be resolved: {error}"
            ) from None
        return None
    except Exception:
        return None  # an annotation that is no type is no business of ours
