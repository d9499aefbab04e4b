"""The health file: touched every second while a process' loop turns and its fetching moves.

Authority: none. What probes it (`durableq health`) restarts a process that hangs; one that is merely idle, full or without
Redis does not hang. So Redis away is never a reason: an outage must not make a platform kill every worker at once, with
the steps that they could still record.

Failures. A file that cannot be written at the start is refused (ConfigError). Later it is logged once, and tried again.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import AsyncIterator, Callable, Iterable
from pathlib import Path
from typing import Final, NamedTuple

from durableq.services.service import Loop
from durableq.store.link import Link
from durableq.words.errors import ConfigError, StateLost
from durableq.words.telemetry import Log

TOUCH_EVERY_S: Final = 1.0
SILENT_S: Final = 5.0
"""A child says every second that its loop turns; silent for longer than this, it does not."""
STARTING_S: Final = 60.0
"""How long a child may take to import its apps, of which it cannot say anything."""
STALLED_S: Final = 20.0
"""The longest round that moves: a read of the timer bell blocks for 10 s, and a connection that died silently during one
is found within 19 s."""


class Watched(NamedTuple):
    """A loop of a process' fetching, with the connection that its rounds wait for."""

    loop: Loop
    link: Link
    at_rest: Callable[[], bool] = lambda: False
    """Whether it waits, in the middle of a round, for something that user code decides."""


def stalled(fetching: Iterable[Watched]) -> str:
    """What has been in one round for too long although Redis was there to answer all the while; "" for nothing."""
    for loop, link, at_rest in fetching:
        waiting_s = min(loop.busy_s(), link.answering_s)
        if waiting_s > STALLED_S and not at_rest():
            return f"its {loop.name} has not moved for {waiting_s:.0f} s"
    return ""


class HealthFile:
    """A service that touches a file, unless one of those it asks gives a reason not to."""

    def __init__(self, path: str, log: Log) -> None:
        self._path = Path(path)
        self._log = log
        self._asked: list[Callable[[], str]] = []
        self._bad_rounds = 0
        self._refused = ""

    def ask(self, unwell: Callable[[], str]) -> None:
        """From now on ask this one too: it answers with what does not move, "" for nothing."""
        self._asked.append(unwell)

    async def run_once(self) -> float:
        why = next((reason for unwell in self._asked if (reason := unwell())), "")
        if why:
            self._bad_rounds += 1
            # Not at the first: whoever was stopped with us (a paused machine) is heard in the next round.
            if self._bad_rounds == 2:
                self._log.warning("health.stale", path=str(self._path), why=why)
            return TOUCH_EVERY_S
        if self._bad_rounds > 1:
            self._log.info("health.fresh", path=str(self._path))
        self._bad_rounds = 0
        try:
            self.touch()
        except OSError as error:
            reason = error.strerror or str(error)
            if reason != self._refused:
                self._log.error("health.not_written", path=str(self._path), error=reason)
            self._refused = reason
        else:
            self._refused = ""
        return TOUCH_EVERY_S

    def touch(self) -> None:
        """Make the file, or give it the present time. Raises OSError."""
        # Never through a link that somebody else has put there: such files often lie in /tmp.
        fd = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o644)
        try:
            os.utime(fd)
        finally:
            os.close(fd)

    def remove(self) -> None:
        with contextlib.suppress(OSError):
            self._path.unlink()


@contextlib.asynccontextmanager
async def health_file(path: str, log: Log) -> AsyncIterator[Callable[[Callable[[], str]], None]]:
    """Keep this file while the context lasts, then remove it; nothing for "". Yields `HealthFile.ask`.

    Raises ConfigError where it cannot be written.
    """
    if not path:
        yield lambda _unwell: None
        return
    kept = HealthFile(path, log)
    try:
        kept.touch()
    except OSError as error:
        raise ConfigError(f"--health-file {path} cannot be written: {error.strerror or error}") from None
    touching = Loop("health", kept, log, _no_state)
    touching.start()
    try:
        yield kept.ask
    finally:
        await touching.stop()
        kept.remove()


def _no_state(_lost: StateLost) -> None:
    """It asks nobody who talks to Redis."""
