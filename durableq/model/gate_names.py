"""What the names of gates and keys say to people: whose they are, and what the key's expression came to.

Names are made by model/gating.py and model/flow.py: `shop/pay:<hash>:7`, `+n:openai`, `shop/pay:t:`. A key stands there
percent-encoded, and a long one as its beginning and a hash.
"""

from __future__ import annotations

import re
from typing import Final, NamedTuple
from urllib.parse import unquote

from durableq.model.flow import NOTHING

NO_VALUE: Final = "(no value)"
"""What is shown of the key that all share whose expression came to nothing."""

LETTERS: Final = {
    "idempotency": "i",
    "rate_limit": "l",
    "debounce": "d",
    "batch": "b",
    "singleton": "s",
    "concurrency": "c",
}
"""The letters under which keys of skips and of what is held back are named."""

_HALF_ESCAPE: Final = re.compile(r"%[0-9A-Fa-f]?\Z")
_EMPTY: Final = "%"


class GateName(NamedTuple):
    """A gate's name, taken apart. `owner` is the function or app that it belongs to; "" where all of the namespace share it."""

    scope: str
    """function, app or namespace."""
    owner: str
    key: str | None
    """What the expression came to, as text; None where there is no expression: all runs share the limit."""


def gate_name(letter: str, name: str) -> GateName:
    """The gate of this letter (`c`, `t`, `z`, `l` …) and name."""
    if name.startswith(("+n:", "+nr:")):
        return GateName("namespace", "", shown_key(name.partition(":")[2]))
    if name.startswith(("+a:", "+ar:")):
        _, app, key = name.split(":", 2)
        return GateName("app", app, shown_key(key))
    function, colon, rest = name.partition(":")
    if not colon:
        return GateName("function", "", shown_key(name))
    if letter in "crtzs":
        rest = rest.partition(":")[2]
    return GateName("function", function, shown_key(rest))


def shown_key(key: str) -> str | None:
    """What a key was before it became part of a name; None for no key. One that was cut ends in an ellipsis."""
    if not key:
        return None
    if key == NOTHING:
        return NO_VALUE
    if key == _EMPTY:
        return ""
    kept, cut, _ = key.partition(NOTHING)
    if not cut:
        return unquote(key, errors="replace")
    return unquote(_HALF_ESCAPE.sub("", kept), errors="ignore") + "…"
