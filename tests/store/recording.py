"""A link that executes nothing: it keeps what a verb would send, and answers with what the verb can read."""

from __future__ import annotations

import asyncio
from typing import Any

from durableq.store.calls import Calls
from durableq.store.keys import Keys
from durableq.store.scripts import Script
from tests.store.shard import SCRIPTS


class RecordingLink:
    """Stands in for a Link."""

    def __init__(self, reply: Any = None) -> None:
        self.reply = reply
        self.scripts: list[tuple[Script, tuple[Any, ...]]] = []
        self.commands: list[tuple[Any, ...]] = []

    def run(self, script: Script, base: str, identity: str, now: str, *args: Any) -> asyncio.Future[Any]:
        self.scripts.append((script, args))
        return self._answered()

    def command(self, *args: Any) -> asyncio.Future[Any]:
        self.commands.append(args)
        return self._answered()

    async def within(self, seconds: float, future: asyncio.Future[Any]) -> Any:
        return await future

    def _answered(self) -> asyncio.Future[Any]:
        future = asyncio.get_running_loop().create_future()
        future.set_result(self.reply)
        return future


def recording_calls(link: RecordingLink) -> Calls:
    return Calls(link, SCRIPTS, Keys("t"))  # type: ignore[arg-type]
