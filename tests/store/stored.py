"""Everything that one namespace holds, read in one act, as plain values that tests compare.

The dump is one script, so it is a single moment even while workers write. Only tests use KEYS.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import redis

from durableq.store.calls import Calls
from durableq.store.keys import BY_NAME, KEYS, Key

DUMP = """
local out = {}
for _, key in ipairs(redis.call('KEYS', KEYS[1] .. '*')) do
  local kind, value = redis.call('TYPE', key).ok, ''
  if kind == 'hash' then value = redis.call('HGETALL', key)
  elseif kind == 'zset' then value = redis.call('ZRANGE', key, 0, -1, 'WITHSCORES')
  elseif kind == 'set' then value = redis.call('SMEMBERS', key)
  elseif kind == 'list' then value = redis.call('LRANGE', key, 0, -1)
  elseif kind == 'string' then value = redis.call('GET', key)
  elseif kind == 'stream' then value = redis.call('XRANGE', key, '-', '+') end
  out[#out + 1] = {key, kind, value, redis.call('PTTL', key)}
end
return out
"""

_SINGLETONS = {key.suffix: key for key in KEYS if not key.argument}
_FAMILIES = sorted((key for key in KEYS if key.argument), key=lambda key: -len(key.suffix))


@dataclass(frozen=True)
class Item:
    """One key. `value`: dict for hashes and zsets (scores as int), set, list, bytes; a stream is [(id, fields)]."""

    name: str
    argument: str
    kind: str
    value: Any
    ttl_ms: int

    def __str__(self) -> str:
        return f"{self.name}({self.argument})" if self.argument else self.name


class Stored:
    """A dump: items by (name, argument), and the keys that no row of keys.py explains."""

    def __init__(self, base: str, reply: Sequence[Any]) -> None:
        self.items: dict[tuple[str, str], Item] = {}
        self.unknown: list[str] = []
        for raw_key, raw_kind, raw, ttl_ms in reply:
            key, kind = raw_key.decode().removeprefix(base), raw_kind.decode()
            row = _row(key)
            if row is None:
                self.unknown.append(key)
                continue
            argument = key.removeprefix(row.suffix)
            self.items[row.name, argument] = Item(row.name, argument, kind, _value(kind, raw), ttl_ms)

    def of(self, name: str, argument: str = "") -> Any:
        """The value of a key; what is not there is empty."""
        item = self.items.get((name, argument))
        return item.value if item is not None else _EMPTY[BY_NAME[name].redis_type]

    def family(self, name: str) -> Iterator[tuple[str, Any]]:
        """(argument, value) of every key of a family."""
        return ((argument, item.value) for (family, argument), item in self.items.items() if family == name)

    def changed(self, after: Stored) -> set[str]:
        """Names of the keys that differ between this and a later dump."""
        keys = self.items.keys() | after.items.keys()
        return {key[0] for key in keys if _seen(self.items.get(key)) != _seen(after.items.get(key))}


async def read_stored(calls: Calls) -> Stored:
    return Stored(calls.keys.base, await calls.read("EVAL", DUMP, 1, calls.keys.base))


def read_stored_of(client: redis.Redis, base: str) -> Stored:
    return Stored(base, client.eval(DUMP, 1, base))


def bases_of(client: redis.Redis) -> list[str]:
    """The base key of every namespace on a server."""
    keys = [key.decode() for key in client.keys("dq:{*}:*")]
    return sorted({key[: key.index("}:") + 2] for key in keys})


_EMPTY: dict[str, Any] = {"hash": {}, "zset": {}, "set": set(), "list": [], "stream": [], "string": b"", "none": b""}


def _row(key: str) -> Key | None:
    return _SINGLETONS.get(key) or next((row for row in _FAMILIES if key.startswith(row.suffix)), None)


def _seen(item: Item | None) -> Any:
    # What expires gets nearer to its end between two looks.
    return item and (item.kind, item.value, item.ttl_ms >= 0)


def _value(kind: str, raw: Any) -> Any:
    if kind == "hash":
        return {raw[i].decode(): _text(raw[i + 1]) for i in range(0, len(raw), 2)}
    if kind == "zset":  # what is filed has a payload for a tail
        return {raw[i].decode("utf-8", "surrogateescape"): int(float(raw[i + 1])) for i in range(0, len(raw), 2)}
    if kind == "set":
        return {member.decode() for member in raw}
    if kind == "list":
        return [_text(entry) for entry in raw]
    if kind == "stream":
        return [(entry.decode(), fields) for entry, fields in raw]
    return raw


def _text(raw: bytes) -> Any:
    """Text where it is text; payloads that are not stay bytes."""
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return raw
