"""Where waits for events are filed, and where an event looks for them: by value, so that it meets only those that may match.

A condition with an equality between a path of the run's event and one of the arriving event (`event.data.x == async.data.x`),
or between such a path and a value that is written out (`async.data.x == "A-17"`), is filed under (name, arriving path, value);
any other under the name alone, as the path '-'. The index finds candidates, the condition decides: a token may stand for
more values than one, and a condition may ask for more than its equality.

What is filed carries what its condition reads of the run's own event, so that whoever evaluates it needs nothing else.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from hashlib import blake2b
from typing import Any, Final, NamedTuple

from durableq.model.expressions import Expression, compile_expression
from durableq.model.expressions.keys import constant_token, lookup_tokens, stored_token
from durableq.model.expressions.paths import Path
from durableq.words import codec
from durableq.words.errors import CodecError

ANYHOW: Final = "-"
"""The path of what is filed under the name alone."""

TAIL_MAX: Final = 4096
"""A longer tail leaves out the values, and who evaluates reads the run's event."""

VARIABLES: Final = frozenset({"event", "async"})
_FIELD: Final = re.compile(r"[^\s.\x00-\x20\x7f-\xa0\ud800-\udfff]+\Z")
_NO_VALUE: Final = ("null", "missing", "foreign")


class Filing(NamedTuple):
    """Where a wait is filed: its path and bucket, the name's bucket without a path, and what it takes along."""

    path: str
    bucket: str
    anyhow: str
    tail: bytes


class Condition(NamedTuple):
    """What a tail says. `event` None: the values were too long, read the run's event."""

    expression: Expression | None
    event: Mapping[str, Any] | None

    def holds(self, event: Mapping[str, Any] | None, arriving: Mapping[str, Any]) -> bool:
        """Whether the arriving event answers it. `event` is the run's, where the tail left it out."""
        if self.expression is None:
            return True
        own = self.event if self.event is not None else event
        return own is not None and self.expression.test({"event": own, "async": arriving})


def condition(source: str) -> Expression:
    """The compiled condition of a wait or listener. Raises ExpressionError."""
    return compile_expression(source, variables=VARIABLES)


def file_under(name: str, if_: str | None, event: Mapping[str, Any]) -> Filing:
    """Where to file a wait for events of this name, with this condition, of a run with this event. Raises ExpressionError."""
    anyhow = bucket_of(name, ANYHOW, "")
    if if_ is None:
        return Filing(ANYHOW, anyhow, anyhow, b"")
    expression = condition(if_)
    tail = _tail(if_, expression, event)
    scope = {"event": event}
    tokens = [
        (arriving, stored_token(scope, own)) for own, arriving in expression.equalities if _can_be_a_path(arriving)
    ]
    tokens += [
        (arriving, constant_token(value)) for value, arriving in expression.constants if _can_be_a_path(arriving)
    ]
    # The first with a value: by null or by what is missing a great many may be filed.
    found = next((pair for pair in tokens if pair[1] not in _NO_VALUE), None) or (tokens[0] if tokens else None)
    if found is None:
        return Filing(ANYHOW, anyhow, anyhow, tail)
    path = ".".join(found[0][1:])
    return Filing(path, bucket_of(name, path, found[1]), anyhow, tail)


def paths_of(if_: str | None) -> set[str]:
    """Every path under which `file_under` may file something with this condition. Raises ExpressionError."""
    if if_ is None:
        return {ANYHOW}
    expression = condition(if_)
    pairs = (*expression.equalities, *expression.constants)
    return {ANYHOW, *(".".join(arriving[1:]) for _, arriving in pairs if _can_be_a_path(arriving))}


def buckets_of(name: str, paths: Iterable[str], arriving: Mapping[str, Any]) -> list[str]:
    """The buckets in which there may be something for this event, of a name with these paths."""
    scope = {"async": arriving}
    found = []
    for path in paths:
        if path == ANYHOW:
            found.append(bucket_of(name, ANYHOW, ""))
        else:
            tokens = lookup_tokens(scope, ("async", *path.split(".")))
            found += [bucket_of(name, path, token) for token in tokens]
    return found


def bucket_of(name: str, path: str, token: str) -> str:
    """The part of a key that stands for (name, path, value): 24 characters of a 96-bit hash."""
    return blake2b(f"{name}\0{path}\0{token}".encode("utf-8", "backslashreplace"), digest_size=12).hexdigest()


def read_tail(tail: bytes) -> Condition:
    """The condition of what is filed. Raises ExpressionError or CodecError for one that this release cannot read."""
    if not tail:
        return Condition(None, {})
    stored = codec.decode(tail)
    return Condition(condition(stored["if"]), stored.get("event"))


def _can_be_a_path(arriving: Path) -> bool:
    """Whether the fields can stand in one word with dots between: `async.data["a b"]` and a bare `async` cannot."""
    return len(arriving) > 1 and arriving[1:] != (ANYHOW,) and all(_FIELD.match(field) for field in arriving[1:])


def _tail(if_: str, expression: Expression, event: Mapping[str, Any]) -> bytes:
    own: dict[str, Any] = {}
    for path in expression.fields:
        if path[0] == "event":
            _copy(event, path[1:], own)
    try:
        tail = codec.encode({"if": if_, "event": own})
    except CodecError:
        tail = b""
    return tail if 0 < len(tail) <= TAIL_MAX else codec.encode({"if": if_})


def _copy(source: Mapping[str, Any], path: Path, target: dict[str, Any]) -> None:
    """Copy what is at this path, if anything is, with the maps on the way to it."""
    if not path:
        target.update(source)
        return
    if path[0] not in source:
        return
    inner = source[path[0]]
    if len(path) == 1 or not isinstance(inner, Mapping):
        target[path[0]] = inner
        return
    below = target.setdefault(path[0], {})
    if below is not inner and isinstance(below, dict):
        _copy(inner, path[1:], below)
