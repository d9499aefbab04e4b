"""What a callable returns, by its annotation. Asked at every step, so the answer is kept with the function."""

from __future__ import annotations

import asyncio
import builtins
import collections.abc as abc
import functools
import inspect
import re
import typing
from types import BuiltinFunctionType, FunctionType, MethodType, NoneType
from typing import Any
from weakref import WeakKeyDictionary

from durableq.words.errors import ConfigError
from durableq.words.typed.annotations import Unresolved, raw_annotations, resolve, shape_of
from durableq.words.typed.shape import Leaf, Mismatch

_AWAITABLES = (abc.Awaitable, abc.Coroutine, asyncio.Future, asyncio.Task)
_PLAIN = frozenset({Any, object, None, NoneType, dict, list, str, bytes, int, float, bool, tuple, set})
_WORDS = re.compile(r"[A-Za-z_]\w*")
_PLAIN_WORDS = frozenset(
    {"Any", "None", "typing", "t", "dict", "list", "str", "bytes", "int", "float", "bool", "tuple"}
)

# A cache of what the functions themselves say, and gone with them. Not state: losing an entry costs a look.
_RETURNS: WeakKeyDictionary[Any, Any] = WeakKeyDictionary()


def result_type(target: Any, output_type: Any = None) -> Any:
    """The annotation under which a callable's results are stored: `output_type`, else what it is annotated to return.

    `Any` where the codec alone is enough. Awaitables are unwrapped, strings resolved; never raises for the callable's
    own annotations. Raises ConfigError for an `output_type` that is no type.
    """
    if output_type is not None:
        return _checked(output_type)
    if isinstance(target, type):
        return _settled(target)
    function = _function(target)
    annotation = raw_annotations(function).get("return")
    if annotation in _PLAIN if isinstance(annotation, (type, NoneType)) else annotation is Any:
        return Any
    if isinstance(annotation, str) and _is_plain_text(annotation):
        return Any
    try:
        known = _RETURNS.get(function)
        if known is None:
            known = _RETURNS[function] = _settled(_resolved(annotation, function))
        return known
    except TypeError:  # neither hashable nor weakly referable
        return _settled(_resolved(annotation, function))


def _function(target: Any) -> Any:
    """The plain function behind partials, methods and callable objects."""
    while isinstance(target, functools.partial):
        target = target.func
    if isinstance(target, MethodType):
        return target.__func__
    if (
        isinstance(target, (FunctionType, BuiltinFunctionType))
        or hasattr(target, "__wrapped__")
        or not callable(target)
    ):
        return target
    return type(target).__call__


@functools.lru_cache(maxsize=1024)
def _is_plain_text(annotation: str) -> bool:
    """Whether only the codec's own types are named, as in "dict[str, Any]": true of most, and spares an evaluation."""
    return all(word in _PLAIN_WORDS for word in _WORDS.findall(annotation))


def _resolved(annotation: Any, function: Any) -> Any:
    inner = inspect.unwrap(function) if hasattr(function, "__wrapped__") else function
    names = {**vars(builtins), **getattr(inner, "__globals__", {}), **_closure(inner)}
    resolved = resolve(annotation, names)
    while typing.get_origin(resolved) in _AWAITABLES and typing.get_args(resolved):
        resolved = typing.get_args(resolved)[-1]
    return resolved


def _closure(function: Any) -> dict[str, Any]:
    """The local names that the function uses: a class made beside it, and built in it, is among them."""
    names = getattr(getattr(function, "__code__", None), "co_freevars", ())
    found = {}
    for name, cell in zip(names, getattr(function, "__closure__", None) or (), strict=False):
        try:
            found[name] = cell.cell_contents
        except ValueError:
            continue  # not assigned yet
    return found


def _settled(annotation: Any) -> Any:
    """Any, for what needs no shape; else the annotation."""
    if isinstance(annotation, Unresolved):
        return annotation
    try:
        return Any if isinstance(shape_of(annotation), Leaf) else annotation
    except Mismatch:
        return annotation  # whoever encodes says why


def _checked(output_type: Any) -> Any:
    if isinstance(output_type, (str, int, float, bytes, list, dict, tuple)):
        raise ConfigError(f"output_type must be a type or an annotation such as list[Order], not {output_type!r:.80}")
    try:
        shape_of(output_type)
    except Mismatch as mismatch:
        raise ConfigError(f"output_type {output_type!r:.80} {mismatch.reason}") from None
    return _settled(output_type)
