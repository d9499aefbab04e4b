"""How a measurement is to be made."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Setting:
    """What the command line asked for."""

    server: str = "redis"
    rounds: int = 5
    short: bool = False
    """Smaller and fewer, for a glance and for CI."""
    uvloop: bool = True
    """Whether workers use uvloop, where it is installed."""
    first: bool = False
    """Whether what is measured goes before others' work."""

    def size(self, full: int, short: int) -> int:
        return short if self.short else full
