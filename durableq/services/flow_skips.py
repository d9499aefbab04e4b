"""Skips in words: why a trigger started nothing, with the key as the user wrote it and what it was left out for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from durableq.model.event import read_head
from durableq.model.gate_names import LETTERS, gate_name
from durableq.services.flow_views import SkipView
from durableq.store.flow import Flow, Skip
from durableq.store.flow_reads import FlowReads
from durableq.words.errors import CodecError

NONE: Final = "-"
_WHY: Final = {
    "idempotency": "{key} was used by run {other}",
    "rate_limit": "as many as may had started {for_key}",
    "debounce": "{replaced} {for_key}",
    "singleton": "run {other} had not ended {for_key}",
    "concurrency": "it would have waited for itself{of_key}: run {other}, or another that waits for it, holds every slot",
    "paused": "the function was paused, and skips what comes meanwhile",
}


async def skips_of(flow: Flow, reads: FlowReads, function: str, limit: int) -> tuple[SkipView, ...]:
    """The newest skips of a function, with the names of those events that the stream still has."""
    found = await flow.skips(function, limit)
    places = dict.fromkeys(place for skip in found for place in (skip.place, skip.other) if _is_place(place))
    blobs = await reads.entries(list(places))
    return tuple(_view(function, skip, blobs) for skip in found)


def _view(function: str, skip: Skip, blobs: Mapping[str, bytes]) -> SkipView:
    key = None if skip.key == NONE else gate_name(LETTERS.get(skip.reason, "l"), skip.key).key
    name, event_id = _event(blobs.get(skip.place, b""))
    other = "" if skip.other == NONE else skip.other
    newer = _order(other) > _order(skip.place)
    why = why_skipped(skip.reason, key, _event(blobs.get(other, b""))[1] or other, newer=newer)
    return SkipView(function, skip.at_ms, skip.reason, key, why, name, event_id, skip.place, other)


def why_skipped(reason: str, key: str | None, other: str, *, newer: bool) -> str:
    """One line: the reason, the key, and what it was left out for; of a debounce also whether that had come later."""
    for_key = "" if key is None else f"for key {key!r}"
    of_key = for_key and f" {for_key}"
    # By its own time an older event does not replace a newer one that came before it.
    replaced = f"event {other} replaced it" if newer else f"event {other}, which is newer by its ts, stays"
    text = _WHY.get(reason, reason)
    words = text.format(key=f"key {key!r}", for_key=for_key, of_key=of_key, other=other or "another", replaced=replaced)
    return words.strip()


def _is_place(text: str) -> bool:
    """Whether this is where an event stands in the stream: a run has an id."""
    return text != NONE and NONE in text


def _order(place: str) -> tuple[int, int]:
    ms, _, sequence = place.partition("-")
    return (int(ms), int(sequence)) if ms.isdecimal() and sequence.isdecimal() else (0, 0)


def _event(blob: bytes) -> tuple[str, str]:
    """Its name and id; "" where it is not to be had. A system event is only referred to, and has none."""
    try:
        head = read_head(blob) if blob else None
    except CodecError:
        return "", ""
    return (head.name, head.id or "") if head else ("", "")


def keys_of(skips: Sequence[Skip], reason: str, limit: int) -> list[str]:
    """The names of keys that were last skipped for this reason."""
    return list(dict.fromkeys(skip.key for skip in skips if skip.reason == reason and skip.key != NONE))[:limit]
