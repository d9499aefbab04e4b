"""What steps wait for, or did: an event, a signal, a child run. From a pending memo, or from the note of how it began."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from durableq.model.event import Event, decode_event
from durableq.model.memo import Memo, MemoKind
from durableq.model.run import State
from durableq.services.notes import Note, read_note
from durableq.store.reads import RunDetails
from durableq.words import codec
from durableq.words.errors import CodecError
from durableq.words.ids import is_run_id

PENDING: Final = frozenset({MemoKind.AWAITING, MemoKind.SIGNALLING, MemoKind.INVOKING})


@dataclass(frozen=True, slots=True)
class AwaitedView:
    """An event with the condition that it must meet, a signal, or a child run with its function. "": not of that sort."""

    event: str = ""
    condition: str = ""
    signal: str = ""
    function: str = ""
    run: str = ""
    status: str = ""
    """The child's, when its parent was asked for; "" for one that is not kept any more."""
    sender: str = ""
    """The run that has sent the signal; "" while none has, and for one from outside."""


def awaited_view(about: Mapping[str, Any]) -> AwaitedView | None:
    """What a memo's blob, or a note, says of it; None where it is about no wait."""
    view = AwaitedView(
        *(
            str(about[name]) if about.get(name) is not None else ""
            for name in ("event", "if", "signal", "function", "run")
        )
    )
    return None if view == AwaitedView() else view


def event_of(memo: Memo) -> Event[dict[str, Any]] | None:
    """The event that answered a wait (MATCHED); None for one that cannot be read."""
    entry, _, blob = memo.blob.partition(b" ")
    try:
        return decode_event(blob, entry.decode())
    except (CodecError, UnicodeDecodeError):
        return None


def notes_of(stored: RunDetails) -> dict[str, Note]:
    """What is noted of each step, by its key: how it began, and what it came to."""
    packed = [(entry.key, entry.note) for entry in stored.history]
    packed += stored.notes.items()
    return {key: note for key, blob in packed if (note := read_note(blob)) is not None}


def senders_of(stored: RunDetails) -> dict[str, str]:
    """The runs that have sent it signals, by the key of the step that has one. A run's token for that is `run.key`."""
    found = {}
    for entry in stored.history:
        run = entry.note.partition(b".")[0].decode("latin-1")
        if entry.verb == MemoKind.DATA and is_run_id(run):
            found[entry.key] = run
    return found


def children_of(stored: RunDetails) -> list[str]:
    """The runs that this one has invoked."""
    found = [note.awaited.get("run", "") for note in notes_of(stored).values()]
    for memo in stored.memos.values():
        if memo.kind is MemoKind.INVOKING:
            try:
                found.append(str(codec.decode(memo.blob)["run"]))
            except (CodecError, LookupError, TypeError):
                continue
    return [run for run in dict.fromkeys(found) if run]


def with_status(awaited: AwaitedView | None, states: Mapping[str, State]) -> AwaitedView | None:
    """The same, with the child's status if it is known."""
    if awaited is None or awaited.run not in states:
        return awaited
    return replace(awaited, status=states[awaited.run].label)
