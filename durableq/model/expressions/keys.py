"""Values as keys of flow control, and as tokens for an index of waits."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from hashlib import sha256
from typing import cast

from durableq.model.expressions.access import read_path
from durableq.model.expressions.limits import DEPTH_MAX, LIST_MAX
from durableq.model.expressions.paths import Path
from durableq.model.expressions.texts import text_of
from durableq.model.expressions.values import FOREIGN, NUMBERS, adopt, is_absent, kind

KEY_BYTES_MAX = 200
_KEPT = 60


def key_text(value: object) -> str | None:
    """The flow-control key for a value: valid UTF-8 of at most 200 bytes. None for null and missing: there is no key.

    Scalars print as `string()` prints them, so equal numbers give equal keys. Lists and maps print much as JSON does,
    with sorted names. A longer text keeps its beginning and ends in its hash, so that keys stay apart. None also for
    what cannot be printed: foreign objects, and lists and maps of more than 10,000 parts or 64 levels.
    """
    if type(value) is str and len(value) <= KEY_BYTES_MAX and value.isascii():
        return value
    if is_absent(value):
        return None
    try:
        text = _key_text(value)
    except Exception:  # a payload's own objects may raise anything on being read; then there is no key
        return None
    return None if text is None else _short(text)


def _key_text(value: object) -> str | None:
    text = text_of(value)
    if text is not None:
        return text
    return bytes(cast(bytes, value)).hex() if kind(value) == "bytes" else _Printer().container(value, DEPTH_MAX)


def stored_token(scope: Mapping[str, object], path: Path) -> str:
    """Under which token an index files the wait whose `event` path this is.

    An equality can only hold where the arriving event's `lookup_tokens` name this token. It need not hold there: tokens
    find the candidates, the expression decides.
    """
    try:
        return _token(read_path(scope, path))
    except Exception:  # as above: such an object equals nothing
        return FOREIGN


def constant_token(value: object) -> str:
    """The same for a value that is written out in the expression."""
    return _token(value)


def lookup_tokens(scope: Mapping[str, object], path: Path) -> tuple[str, ...]:
    """Under which tokens an index may hold waits that equal the arriving event at this `async` path.

    Null equals null and missing, missing equals null only, as `==` has it.
    """
    token = stored_token(scope, path)
    if token == "missing":
        return ("null",)
    return (token, "missing") if token == "null" else (token,)


def _token(value: object) -> str:
    value = adopt(value)
    word = kind(value)
    text = text_of(value)
    return word if text is None else _short(f"{'number' if word in NUMBERS else word}:{text}")


def _short(text: str) -> str:
    data = text.encode("utf-8", "backslashreplace")
    if len(data) <= KEY_BYTES_MAX:
        return data.decode()
    kept = data[:_KEPT].decode("utf-8", "ignore")
    return f"{kept}~{sha256(data).hexdigest()}"


class _Printer:
    """Prints lists and maps, and gives up beyond 10,000 parts."""

    def __init__(self) -> None:
        self._left = LIST_MAX

    def container(self, value: object, levels: int) -> str | None:
        """A list or a map; None for anything else, and where it is too large or too deep."""
        in_order = not isinstance(value, set | frozenset)
        value = adopt(value)
        match kind(value):
            case "list":
                items = cast("Sequence[object]", value)
                if not self._count(len(items), levels):
                    return None
                parts = [part for item in items if (part := self._part(item, levels)) is not None]
                if len(parts) < len(items):
                    return None
                return f"[{','.join(parts if in_order else sorted(parts))}]"
            case "map":
                entries = cast("Mapping[object, object]", value)
                if not self._count(len(entries), levels):
                    return None
                pairs = [(self._part(key, 0), self._part(content, levels)) for key, content in entries.items()]
                if any(name is None or content is None for name, content in pairs):
                    return None
                return "{" + ",".join(sorted(f"{name}:{content}" for name, content in pairs)) + "}"
            case _:
                return None

    def _count(self, parts: int, levels: int) -> bool:
        self._left -= 1 + parts
        return levels > 0 and self._left >= 0

    def _part(self, value: object, levels: int) -> str | None:
        if is_absent(value):
            return "null"
        text = text_of(value)
        if text is None:
            return self.container(value, levels - 1)
        # Quoted and escaped, or a string could pretend to be several parts.
        match kind(adopt(value)):
            case "string":
                return json.dumps(text)
            case "bytes":
                return "b" + json.dumps(text)
            case _:
                return text
