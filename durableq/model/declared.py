"""What the registry is told besides the declarations themselves, since scripts must read it and they read no payloads."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import chain
from typing import Any, Final

from durableq.model.flow import numbers
from durableq.model.system import SORT_OF, canonical_name
from durableq.words import codec
from durableq.words.errors import CodecError

ECHO: Final = " !"
"""The item that has the sorts of system events; no function's id is empty."""


def decoded(blob: bytes) -> dict[str, Any]:
    """A declaration of the registry; empty for one that cannot be read here."""
    try:
        found = codec.decode(blob)
    except CodecError:
        return {}
    return found if isinstance(found, dict) else {}


def timeouts_of(declarations: Mapping[str, bytes]) -> dict[str, bytes]:
    """Of declarations by function id, those that have timeouts: `id !` and `start_ms finish_ms`, as register_app wants them."""
    found = {}
    for function, blob in declarations.items():
        timeouts = decoded(blob).get("timeouts")
        if timeouts:
            found[f"{function} !"] = b"%d %d" % (timeouts["start_ms"], timeouts["finish_ms"])
    return found


def numbers_of(declarations: Mapping[str, bytes]) -> dict[str, str]:
    """Of declarations by function id, the numbers of those that have flow control, as scripts read them."""
    found = {function: numbers(decoded(blob)) for function, blob in declarations.items()}
    return {function: text for function, text in found.items() if text}


def echo_of(declarations: Mapping[str, bytes]) -> dict[str, bytes]:
    """The letters of the system events that triggers and `cancel_on` of these declarations name, as register_app wants them."""
    sorts = {SORT_OF.get(canonical_name(name), "") for blob in declarations.values() for name in _names(decoded(blob))}
    return {ECHO: "".join(sorted(sorts)).encode()}


def _names(declared: Mapping[str, Any]) -> Iterator[str]:
    for stored in chain(declared.get("triggers") or (), declared.get("cancel_on") or ()):
        if "event" in stored:
            yield stored["event"]
