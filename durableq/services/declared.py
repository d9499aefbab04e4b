"""The registry's declarations as those need them who create runs without routing: by function, as of a moment ago.

Authority: the registry in Redis; this is a copy, read again when it is older than a second. A function that was just registered
is looked for at once. What a run is created with may thus rest on the declaration of a second before, as with any deploy.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from typing import Any, Final

from durableq.model.declared import decoded
from durableq.model.dressing import SILENT, Dressing
from durableq.model.routing import Fault, key_faults
from durableq.store.registry import Registry

FRESH_S: Final = 1.0
NOTING_MAX: Final = 100


class Declared:
    """A cache of what is registered, shared by whoever invokes in one process."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self._dressings: dict[str, Dressing] = {}
        self._version = -1
        self._looked_at_s = float("-inf")
        self._looking = asyncio.Lock()
        self._noting = 0

    async def extras(self, function: str, event: Mapping[str, Any], silent: bool = False) -> bytes | None:
        """What a new run of this function is created with, by its full id; None where it is not registered.

        Raises RedisUnavailable, StateLost.
        """
        dressing = await self._dressing(function)
        if dressing is None:
            return None
        extras, keys = dressing.made(event, SILENT if silent else "", direct=True)
        if keys:
            self._note(key_faults(function, keys))
        return extras

    async def knows(self, function: str) -> bool:
        """Whether a function of this full id is registered. Raises as `extras`."""
        return await self._dressing(function) is not None

    def _note(self, faults: Sequence[Fault]) -> None:
        """Not awaited: a count that is lost misleads nobody, and the run is not to wait for it."""
        if self._noting >= NOTING_MAX:
            return  # Redis is away, or does not keep up
        self._noting += 1
        self._registry.note_faults(faults).add_done_callback(self._noted)

    def _noted(self, noted: asyncio.Future[Any]) -> None:
        self._noting -= 1
        if not noted.cancelled():
            noted.exception()  # whoever creates the run meets the same, and says so

    async def _dressing(self, function: str) -> Dressing | None:
        if time.monotonic() - self._looked_at_s > FRESH_S or function not in self._dressings:
            await self._look()
        return self._dressings.get(function)

    async def _look(self) -> None:
        asked_at_s = time.monotonic()
        async with self._looking:
            if self._looked_at_s >= asked_at_s:
                return  # somebody else looked while this waited
            began_at_s = time.monotonic()
            if await self._registry.version() != self._version:
                version, declarations = await self._registry.read()
                self._dressings = {
                    function: Dressing.of(decoded(blob), function) for function, blob in declarations.items()
                }
                self._version = version
            self._looked_at_s = began_at_s
