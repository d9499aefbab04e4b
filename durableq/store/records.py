"""Stored records: every field of every hash and entry, and how replies become values.

A run's hash (`r:<id>`), written by scripts only; numbers are decimal text:

    s  state, one letter (model/run.py)              route, claim, suspend, retry, finish, release, fire, free, cancel
    f  full function id                              route
    c  created: the event's acceptance, ms           route
    b  begun: first claim, ms                        claim
    e  ended, ms                                     finish, free
    l  lease that holds it; "" or absent: none does  claim, suspend, retry, finish, free
    n  epoch: number of claims                       claim
    q  number of the last result                     record, fire
    a  attempt of the code outside steps, from 0     retry
    d  not ready before, ms (delayed start, backoff) route, retry
    m  bytes it is counted with (400, input, memos   claim, record, record_waits, suspend, finish, free
       with notes, output), from its first claim on;  route, fire
       of a batch from its creation
    t  pending timers                                route, record_waits, suspend, retry, fire
    x  deaths of its worker since it last recorded   free
    o  1 while there is news from outside            fire
    p  place in the stream, if no event started it   invoke, tick
    k  what its end has to do besides: l listeners,  route, claim, invoke, watch
       p parent, s silent, i silent about invokes,
       t timeouts, w watchers
    u  parent: run and step key                      invoke
    y  may begin, ms: a delayed start, one held back  route, fire
    j  place and gates: what a claim needs, and the  route
       slots that it has meanwhile
    v  the run that it does again                    rerun
    r  the newest run that does it again             rerun

A memo (`s:<id>`, field: step key) is `number at_ms kind blob` of a wait, `0 at_ms kind+size filed+blob` of one that something
from outside ends (kinds v, g, i), where `filed` says where it is filed, and `number at_ms kind+size note+blob` of what a
step came to, where `size` is how long its note is: `3 1795359902777 d58 ...`. A history entry (`h:<id>`) is
`at_ms verb key note`. What follows the third space is opaque to Lua; blobs and notes begin with the codec's format byte.
A failure written by Lua itself begins with the letter T: name, newline, message.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final, NamedTuple

from durableq.model.memo import Memo, MemoKind

Stale = type("Stale", (), {"__repr__": lambda self: "STALE"})
STALE: Any = Stale()
"""What an item is answered with when its holder is not the run's holder any more."""

KINDS = {kind.value.encode(): kind for kind in MemoKind}


News = list[tuple[str, Memo]]
"""Results that are newer than what a holder had seen, by step key."""

APART: Final = Memo(0, 0, MemoKind.DATA, b"")
"""Stands for a result that the reply only names."""


class Claimed(NamedTuple):
    """A run as a claim returns it. `input` None and `memos` an int (bytes) mean: too large, read apart."""

    id: str
    function: str
    epoch: int
    created_at_ms: int
    begun_at_ms: int
    attempt: int
    sequence: int
    deaths: int
    input: bytes | None
    memos: dict[str, Memo] | int


class Claim(NamedTuple):
    """The reply of a claim."""

    now_ms: int
    alone: bool
    suspects: bool
    """Runs wait that must be executed alone."""
    skip: int
    unrouted: bool
    posted: bool
    """Something waits to be delivered."""
    runs: list[Claimed]


class Recorded(NamedTuple):
    """A result's number and time, and what became newer than the holder had seen."""

    number: int
    at_ms: int
    news: News


class NotYet(NamedTuple):
    """A wait that is not due by the server's clock."""

    remaining_ms: int
    news: News


class HistoryEntry(NamedTuple):
    """One line of a run's history. `note` is opaque."""

    at_ms: int
    verb: str
    key: str
    note: bytes


def pairs(reply: Any) -> Iterator[tuple[Any, Any]]:
    """Fields and values (or members and scores) of a reply: flat from servers, shaped already from fakeredis."""
    if isinstance(reply, dict):
        return iter(reply.items())
    if reply and isinstance(reply[0], (list, tuple)):
        return iter((name, value) for name, value in reply)
    flat = iter(reply)
    return zip(flat, flat, strict=True)


def memo(raw: bytes) -> Memo:
    number, at_ms, kind, rest = raw.split(b" ", 3)
    return Memo(int(number), int(at_ms), KINDS[kind[:1]], rest[int(kind[1:]) :] if len(kind) > 1 else rest)


def result(kind: str, blob: bytes, note: bytes) -> bytes:
    """What a step came to, as it stands in its memo behind number and time."""
    return b"%b%d %b%b" % (kind.encode(), len(note), note, blob)


def note(raw: bytes) -> bytes:
    """What a memo says to screens; b"" of a wait, whose notes are in the history."""
    number, _, kind, rest = raw.split(b" ", 3)
    return rest[: int(kind[1:])] if len(kind) > 1 and number != b"0" else b""


def filed(raw: bytes) -> bytes:
    """Where a pending wait is filed: `bucket ticket name`, a signal, or a child run; b"" of anything else."""
    number, _, kind, rest = raw.split(b" ", 3)
    return rest[: int(kind[1:])] if len(kind) > 1 and number == b"0" else b""


def memos(flat: Any) -> dict[str, Memo]:
    """A flat list of step keys and memos."""
    return {key.decode(): memo(raw) for key, raw in pairs(flat)}


def news(flat: Sequence[bytes]) -> News:
    return list({key.decode(): memo(raw) if raw else APART for key, raw in pairs(flat)}.items()) if flat else []


def claim(reply: Sequence[Any]) -> Claim:
    now_ms, mode, skip, waits, runs = reply
    return Claim(now_ms, mode == 1, mode == 2, skip, waits & 1 == 1, waits & 2 == 2, [_claimed(run) for run in runs])


def _claimed(run: Sequence[Any]) -> Claimed:
    run_id, function, epoch, created, begun, attempt, sequence, deaths, given, stored = run
    return Claimed(
        run_id.decode(),
        function.decode(),
        epoch,
        int(created),
        int(begun),
        attempt,
        sequence,
        deaths,
        given,
        stored if isinstance(stored, int) else memos(stored) if stored else {},
    )


def history_entry(raw: bytes) -> HistoryEntry:
    at_ms, verb, key, note = raw.split(b" ", 3)
    return HistoryEntry(int(at_ms), verb.decode(), key.decode(), note)
