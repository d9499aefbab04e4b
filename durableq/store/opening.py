"""Opens a shard for a process: a link, its scripts, its identity. What waits for Redis and what is refused is decided here."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

from durableq.store.address import connector, hide_password
from durableq.store.calls import Calls
from durableq.store.keys import Keys
from durableq.store.link import Link
from durableq.store.probe import wrong_about_tls
from durableq.store.scripts import load_scripts
from durableq.store.upkeep import Upkeep
from durableq.words.errors import ConfigError, RedisRefused, RedisUnavailable
from durableq.words.telemetry import Log

FIRST_WAIT_S: Final = 1.0
SAY_EVERY_S: Final = 10.0
OLDEST: Final = (6, 2)


def open_link(
    url: str, role: str, *, blocking_s: float = 0.0, on_change: Callable[[bool, str], None] | None = None
) -> Link:
    """A link to this URL. `blocking_s` is how long its longest blocking read may take."""
    return Link(connector(url, role), reply_timeout_s=5.0 + blocking_s, on_change=on_change)


def calls_on(link: Link, namespace: str) -> Calls:
    """Verbs of the namespace's one shard over this link; `await .open()` before the first."""
    return Calls(link, load_scripts(), Keys(namespace))


async def open_patiently(calls: Calls, url: str, log: Log) -> None:
    """Wait for Redis for as long as it takes, saying so. Raises RedisRefused, UnknownSchema."""

    def away(waited_s: float, error: RedisUnavailable) -> None:
        log.warning("redis.away", url=hide_password(url), waiting_s=round(waited_s), reason=str(error))

    if await open_within(calls, url, None, away):
        log.info("redis.there", url=hide_password(url))


async def open_within(
    calls: Calls, url: str, patience_s: float | None, away: Callable[[float, RedisUnavailable], None]
) -> bool:
    """Wait for Redis, at most for so long if that is given. `away` is told each time it was not there, and how long that is.

    Returns whether it had to wait. Raises RedisUnavailable, RedisRefused, UnknownSchema.
    """
    waited_s, wait_s = 0.0, FIRST_WAIT_S
    while True:
        if patience_s is not None:
            # A second at least: no patience is still one attempt.
            wait_s = max(FIRST_WAIT_S, min(wait_s, patience_s - waited_s))
        try:
            await calls.open(within_s=wait_s)
        except RedisUnavailable as error:
            remedy = await wrong_about_tls(url)
            if remedy:
                raise RedisRefused(remedy) from error
            waited_s, wait_s = waited_s + wait_s, min(SAY_EVERY_S, wait_s * 2)
            if patience_s is not None and waited_s >= patience_s:
                raise
            away(waited_s, error)
            await asyncio.sleep(0)
        else:
            return waited_s > 0


async def check_server(calls: Calls, *, allow_eviction: bool) -> None:
    """Refuse a server that forgets, or that is too old. Raises ConfigError with the remedy."""
    upkeep = Upkeep(calls)
    about = await upkeep.server()
    version = about.get("valkey_version") or about.get("redis_version", "")
    numbers = tuple(int(part) for part in version.split(".")[:2] if part.isdecimal())
    if numbers and numbers < OLDEST:
        raise ConfigError(f"this is Redis {version}; durableq needs Redis 6.2 or Valkey 7.2 or newer")
    memory = await upkeep.memory()
    if memory is not None and memory.policy not in ("", "noeviction") and not allow_eviction:
        raise ConfigError(
            f"this Redis evicts keys when it is full (maxmemory-policy {memory.policy}): it would lose runs without a word. "
            "Set maxmemory-policy to noeviction, or pass --allow-eviction to accept the loss"
        )
