"""What every verb is made of: a link, the scripts, the keys of one shard, the identity that was seen there."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any, Final

from durableq.store.keys import Keys
from durableq.store.link import Link
from durableq.store.scripts import Script
from durableq.words.errors import UnknownSchema
from durableq.words.ids import new_token

SCHEMA: Final = 1
"""The number of the stored shapes. A release reads its own and the one before; there is none before the first."""

BATCH: Final = 100
"""The most items of one call."""


class Calls:
    """Sends scripts for one shard. `now_ms` moves the clock of scripts in tests; None is the server's own."""

    __slots__ = ("identity", "keys", "link", "now_ms", "scripts")

    def __init__(self, link: Link, scripts: Mapping[str, Script], keys: Keys) -> None:
        self.link = link
        self.scripts = scripts
        self.keys = keys
        self.identity = ""
        self.now_ms: int | None = None

    def run(self, name: str, *args: Any) -> asyncio.Future[Any]:
        """Send a script with its arguments in the order of its header, items flat behind them."""
        now = "" if self.now_ms is None else str(self.now_ms)
        return self.link.run(self.scripts[name], self.keys.base, self.identity, now, *args)

    def read(self, command: str, *args: Any) -> asyncio.Future[Any]:
        """Send a plain command that only reads."""
        return self.link.command(command, *args)

    def key(self, name: str, argument: str = "") -> str:
        return self.keys.of(name, argument)

    async def open(self, within_s: float | None = None) -> int:
        """Learn the identity of the namespace, or give it one. Returns the server's time in ms.

        Every later call carries the identity, so a flushed or foreign Redis is noticed (StateLost). Raises
        UnknownSchema, Unavailable after `within_s`, or RedisRefused.
        """
        future = self.run("open_namespace", new_token(), SCHEMA)
        reply = await (future if within_s is None else self.link.within(within_s, future))
        identity, schema, now_ms = reply[0].decode(), reply[1], reply[2]
        if schema != SCHEMA:
            raise UnknownSchema(
                f"namespace {self.keys.namespace!r} holds data of schema {schema}; this release reads schema {SCHEMA}. "
                "Run the release that wrote it, or use another namespace."
            )
        self.identity = identity
        return int(now_ms)
