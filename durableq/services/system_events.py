"""Makes system events of the references that scripts have left in the stream: reads the run, and encodes what is to be said.

Authority: the run in Redis, which is there for as long as finished runs are kept. What cannot be made is answered with a
reason, so that whoever routes can set the entry aside and go on; a run that was deleted meanwhile is such a reason.

Bounds. One call reads at most 1 MB of payloads, or one run's where that is more; the entries beyond are left to the next call.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

from durableq.model.system_event import MARK, Facts, Reference, encode_system_event, read_reference
from durableq.store.events import Entry
from durableq.store.facts import AboutRun, RunFacts
from durableq.words.errors import CodecError

AT_ONCE_BYTES: Final = 1_000_000


class Made(NamedTuple):
    """What an entry stands for: the encoded event, or why there is none."""

    blob: bytes = b""
    reason: str = ""


def is_reference(entry: Entry) -> bool:
    """Whether this entry only refers to a run."""
    return entry.blob[:1] == MARK


def name_of(entry: Entry) -> str:
    """The name of the event that a reference stands for; "" for one of a sort that this release does not know."""
    try:
        return read_reference(entry.blob).name
    except CodecError:
        return ""


class SystemEvents:
    """Events of references, for routing and for looking back."""

    def __init__(self, facts: RunFacts) -> None:
        self._facts = facts

    async def made(self, entries: Sequence[Entry]) -> dict[str, Made]:
        """Per id of an entry what it stands for, from the first on as far as one call goes; of the first in any case.

        Raises RedisUnavailable, StateLost.
        """
        found: dict[str, Made] = {}
        references: list[tuple[Entry, Reference]] = []
        for entry in entries:
            try:
                references.append((entry, read_reference(entry.blob)))
            except CodecError as error:
                found[entry.id] = Made(reason=str(error))
        abouts = await self._facts.about([reference.run_id for _, reference in references])
        wanted: list[tuple[Entry, Reference, AboutRun]] = []
        size = 0
        for (entry, reference), about in zip(references, abouts, strict=True):
            if about is None:
                found[entry.id] = _gone(reference)
                continue
            size += about.bytes
            if wanted and size > AT_ONCE_BYTES:
                break
            wanted.append((entry, reference, about))
        payloads = await self._facts.payloads([reference.run_id for _, reference, _ in wanted])
        for (entry, reference, about), payload in zip(wanted, payloads, strict=True):
            if payload is None:
                found[entry.id] = _gone(reference)
                continue
            try:
                facts = Facts(about.function, about.state, about.created_at_ms, about.ended_at_ms, *payload)
                found[entry.id] = Made(encode_system_event(reference, facts))
            except Exception as error:
                # Whatever is wrong with one run's payloads must not keep other events from being routed.
                found[entry.id] = Made(
                    reason=f"{reference.name} of run {reference.run_id}: {type(error).__name__}: {error}"
                )
        return found


def _gone(reference: Reference) -> Made:
    return Made(reason=f"{reference.name}: run {reference.run_id} was deleted before its event could be made")
