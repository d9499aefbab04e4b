"""Asks Redis one question and leaves: what the commands that look have in common.

Nobody waits long at a prompt. So a server that is away is told within 2 s, with what the connection met and where the
address came from; a client of a service would wait for longer.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

from durableq.cli.places import Found
from durableq.client import Client
from durableq.store.opening import calls_on, open_link
from durableq.store.probe import wrong_about_tls
from durableq.words.errors import DurableqError, RedisRefused, RedisUnavailable

REACH_S: Final = 1.8
TLS_LOOK_S: Final = 0.5
ANSWER_S: Final = 15.0
"""A list of a thousand runs is read in well under a second; this is for a server that dies meanwhile."""

T = TypeVar("T")


def ask(found: Found, question: Callable[[Client], Awaitable[T]], within_s: float | None = ANSWER_S) -> T:
    """The answer. Raises RedisUnavailable and RedisRefused with a note on the address, and what the question raises."""
    return asyncio.run(_ask(found, question, within_s))


async def _ask(found: Found, question: Callable[[Client], Awaitable[T]], within_s: float | None) -> T:
    try:
        await _reach(found)
        async with asyncio.timeout(within_s), Client(found.redis_url, namespace=found.namespace) as client:
            return await question(client)
    except TimeoutError as error:
        away = RedisUnavailable(f"Redis did not answer within {within_s or ANSWER_S:g} s")
        away.add_note(found.told())
        raise away from error
    except (RedisUnavailable, RedisRefused) as error:
        raise await explain(error, found) from error.__cause__


async def explain(error: DurableqError, found: Found) -> DurableqError:
    """What to raise in place of this: a RedisRefused if the URL is of the wrong kind, with a note on where it came from."""
    if not isinstance(error, RedisRefused):
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(TLS_LOOK_S):
                remedy = await wrong_about_tls(found.redis_url)
                error = RedisRefused(remedy) if remedy else error
    error.add_note(found.told())
    return error


async def _reach(found: Found) -> None:
    link = open_link(found.redis_url, "look")
    try:
        await calls_on(link, found.namespace).open(within_s=REACH_S)
    finally:
        await link.close()
