"""Ids: which are allowed, how run ids, step keys and event ids are made."""

from __future__ import annotations

import os
import re
from hashlib import blake2b

from durableq.words.errors import ConfigError
from durableq.words.shown import shown

_ID = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}\Z")
_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"  # Crockford's base 32, as ULIDs are written
_PAIRS = [a + b for a in _ALPHABET for b in _ALPHABET]
_CHANCE = bytes(ord(_ALPHABET[byte & 31]) for byte in range(256))
"""The letter for each random byte: of its 8 bits 5 are used."""
_RUN_ID = re.compile(f"[0-7][{_ALPHABET}]{{25}}\\Z")

STEP_ID_MAX = 256
SEQUENCE_MAX = 20_000


def check_id(what: str, value: object) -> str:
    """An app, function or namespace id, or a ConfigError that names the rule and the nearest id that would do."""
    if not isinstance(value, str):
        raise ConfigError(f"{what} must be a string, not {type(value).__name__}: {shown(value)}")
    if _ID.match(value):
        return str.__str__(value)  # an enum's member becomes its text
    near = re.sub(r"[^a-z0-9._-]+", "-", value[:200].lower()).strip("-._")[:64]
    hint = f"; {near!r} would do" if near and _ID.match(near) else ""
    raise ConfigError(
        f"{what} {shown(value)} is not allowed: 1 to 64 characters of a-z, 0-9, '.', '_' and '-', "
        f"the first a letter or digit{hint}"
    )


def check_step_id(value: object, what: str = "step id") -> str:
    """A step or signal id: 1 to 256 characters, any text that can be written as UTF-8."""
    if not isinstance(value, str):
        raise ConfigError(f"{what} must be a string, not {type(value).__name__}: {shown(value)}")
    if not 1 <= len(value) <= STEP_ID_MAX:
        raise ConfigError(f"{what} must have 1 to {STEP_ID_MAX} characters, this has {len(value)}: {shown(value)}")
    try:
        value.encode()
    except UnicodeEncodeError:
        raise ConfigError(
            f"{what} must be text that UTF-8 can write, this has a lone surrogate: {shown(value)}"
        ) from None
    return str.__str__(value)


def _base32(number: int, length: int) -> str:
    """The lowest 5*length bits, highest first; length is even."""
    pairs = []
    for _ in range(length // 2):
        pairs.append(_PAIRS[number & 1023])
        number >>= 10
    return "".join(reversed(pairs))


def new_ulid(at_ms: int) -> str:
    """A ULID: 48 bits of time, 80 of chance."""
    # Sixteen letters in one call instead of taking a number of 80 bits apart: an event sent in a list costs 7 µs in all.
    return _base32(at_ms, 10) + os.urandom(16).translate(_CHANCE).decode()


def run_id(entry_id: str, function_id: str, shard: int) -> str:
    """The id of the run that this function starts for this accepted event.

    26 characters that sort by time: 10 of the time at which Redis accepted the event, 2 of the shard, 14 (70 bits) of
    a hash of the event's internal id and the function. Never derived from the user's event id, which may come again.
    """
    at_ms = int(entry_id.partition("-")[0])
    digest = blake2b(f"{entry_id}\0{function_id}".encode(), digest_size=9).digest()
    return _base32(at_ms, 10) + _PAIRS[shard & 1023] + _base32(int.from_bytes(digest), 14)


def entry_of_run(run: str, function_id: str, created_at_ms: int) -> str:
    """The entry of the stream that started this run, found by trying those of its ms; "" if no event did.

    So the run need not store it. A thousand tries are a millisecond, and a busy millisecond has a few hundred entries.
    """
    shard = run_shard(run)
    for sequence in range(SEQUENCE_MAX):
        entry = f"{created_at_ms}-{sequence}"
        if run_id(entry, function_id, shard) == run:
            return entry
    return ""


def tick_run_id(function_id: str, trigger_key: str, tick_ms: int, shard: int) -> str:
    """The id of the run that a tick of a cron trigger starts, whoever performs it. No event's run has the same."""
    return run_id(f"{tick_ms}-{trigger_key}", function_id, shard)


def child_run_id(parent_run: str, step_key: str, function_id: str) -> str:
    """The id of the run that this step of this run invokes: the same however often it is asked for.

    It sorts with its parent and lies on its shard; no event's run has the same, since none has a run id for an entry.
    """
    digest = blake2b(f"{parent_run}\0{step_key}\0{function_id}".encode(), digest_size=9).digest()
    return parent_run[:12] + _base32(int.from_bytes(digest), 14)


def started_run_id(token: str, function_id: str, at_ms: int, shard: int) -> str:
    """The id of a run that somebody outside starts. `token` is his own, so what he sends twice is one run; `at_ms` is when.

    No event's run has the same, since a place in the stream has no token in it.
    """
    return run_id(f"{at_ms}-t{token}", function_id, shard)


def rerun_run_id(token: str, source: str, at_ms: int) -> str:
    """The id of the run that does another's work again. `token` is of who asks, so what he asks twice for is one run.

    It lies on the source's shard. No other run has the same, since no function has a run id for its own.
    """
    return run_id(f"{at_ms}-r{token}", source, run_shard(source))


def is_run_id(value: str) -> bool:
    """Whether this is written like a run id."""
    return bool(_RUN_ID.match(value))


def run_created_at_ms(value: str) -> int:
    """The time in a run id, in ms."""
    number = 0
    for letter in value[:10]:
        number = number * 32 + _ALPHABET.index(letter)
    return number


def run_shard(value: str) -> int:
    """The shard in a run id."""
    return _ALPHABET.index(value[10]) * 32 + _ALPHABET.index(value[11])


def step_key(step_id: str, occurrence: int) -> str:
    """The field under which a step is recorded: a hash of its id and of its occurrence in the run (from 0).

    The occurrence is the salt and no part of the text, since a step id may be any text, one that looks like another id
    with an occurrence after it too.
    """
    return blake2b(step_id.encode(), digest_size=9, salt=occurrence.to_bytes(8, "big")).hexdigest()


def event_key(name: str, event_id: str) -> str:
    """The part of a key that stands for (name, id) of an event: 22 characters of a 128-bit hash."""
    return blake2b(f"{name}\0{event_id}".encode(), digest_size=16).hexdigest()


def new_token() -> str:
    """64 random bits in hex: a lease id, an identity."""
    return os.urandom(8).hex()
