"""A class that knows inngest-py's names: given one, it raises an error that says ours.

Nothing is changed for type checkers, which refuse such names by themselves. At run time only the verbs that `theirs.TABLE`
lists look at the names of their keywords; `step.run`, whose keywords belong to the callable, is not among them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import wraps
from inspect import iscoroutinefunction
from typing import Any, TypeVar

from durableq.words.errors import ConfigError
from durableq.words.theirs import MODULE, TABLE, VALUES, Ours, sentence

C = TypeVar("C", bound=type)


class TheirName(ConfigError, AttributeError):
    """An attribute of inngest-py was asked for. An AttributeError too, so that `hasattr` answers."""


def familiar(cls: C) -> C:
    """Class decorator: what `TABLE` lists for the class of this name raises ConfigError with our name."""
    names = TABLE[cls.__name__]
    for verb, keywords in names.keywords.items():
        where = f"{cls.__name__}(…)" if verb == "__init__" else f"{names.spoken}.{verb}"
        setattr(cls, verb, _listening(getattr(cls, verb), where, keywords))
    for name, ours in (*names.attributes.items(), *names.of_class.items()):
        if any(name in vars(base) for base in cls.__mro__):
            raise TypeError(f"{cls.__name__}.{name} is ours by now: take its row out of words/theirs.py")
        setattr(cls, name, _Theirs(sentence(names.spoken, name, ours)))
    return cls


def _listening(verb: Callable[..., Any], where: str, keywords: Mapping[str, Ours]) -> Callable[..., Any]:
    theirs = keywords.keys()

    @wraps(verb)
    def listen(*args: Any, **kwargs: Any) -> Any:
        if kwargs and not theirs.isdisjoint(kwargs):
            refuse(where, keywords, kwargs)
        return verb(*args, **kwargs)

    @wraps(verb)
    async def listen_and_await(*args: Any, **kwargs: Any) -> Any:
        return await listen(*args, **kwargs)

    # Frameworks ask a callable whether it is to be awaited, as FastAPI's background tasks do of `app.send`.
    return listen_and_await if iscoroutinefunction(verb) else listen


def refuse(where: str, keywords: Mapping[str, Ours], given: Mapping[str, Any]) -> None:
    """Raise ConfigError for the first of these that is theirs."""
    for name in given:
        if name in keywords:
            raise ConfigError(sentence(where, f"{name}=", keywords[name]))


def refuse_of_module(name: str) -> None:
    """Raise ConfigError if `inngest` has this name and `durableq` has another."""
    if name in MODULE:
        raise ConfigError(sentence("durableq", name, MODULE[name]))


def refuse_value(what: str, given: object) -> None:
    """Raise ConfigError if this option has this value in inngest-py, and another here."""
    if isinstance(given, str) and given in VALUES[what]:
        raise ConfigError(sentence(what, repr(given), VALUES[what][given]))


class _Theirs:
    """Stands on a class for one of their names. Not a `__getattr__`: that slows down every attribute there is."""

    def __init__(self, message: str) -> None:
        self._message = message

    def __get__(self, instance: object, owner: type) -> Any:
        raise TheirName(self._message)
