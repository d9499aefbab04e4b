"""How a value looks in an error: short, and safe for values that do not want to be shown."""

from __future__ import annotations

from reprlib import Repr


def shown(value: object, limit: int = 80) -> str:
    """A repr of at most `limit` characters. Never raises, though a repr may, and Python writes no long integers."""
    if isinstance(value, int) and value.bit_length() > 128:
        return f"an integer of {value.bit_length()} bits"
    if isinstance(value, (str, bytes)):
        value = value[:limit]
    short = Repr()
    short.maxstring = short.maxother = limit
    short.maxlist = short.maxtuple = short.maxdict = short.maxset = short.maxfrozenset = 6
    try:
        text = repr(value) if isinstance(value, (str, bytes)) else short.repr(value)
    except Exception:
        text = f"a {type(value).__qualname__} that cannot be shown"
    return text if len(text) <= limit else text[: limit - 1] + "…"
