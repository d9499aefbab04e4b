"""A service that works under the lease: that the lease is lost is told on, and the service goes on."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from durableq.services.claimer import Claimer
from durableq.services.reconciler import Reconciler
from durableq.store.failures import LeaseLost

AGAIN_S: Final = 0.2
"""Until the next look: there may be another lease by then."""


class UnderLease:
    """`lost` is told the lease that is gone."""

    def __init__(self, service: Claimer | Reconciler, lost: Callable[[str], None]) -> None:
        self._service = service
        self._lost = lost

    async def run_once(self) -> float:
        try:
            return await self._service.run_once()
        except LeaseLost as error:
            self._lost(str(error).partition(" ")[2])
            return AGAIN_S
