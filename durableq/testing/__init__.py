"""Tests of durable functions without a server: see docs/testing.md.

Names are imported when they are first asked for: pytest loads this package for its fixture in every run, also in runs that
have nothing to do with it.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from durableq.testing.environment import AsyncTestEnv, TestEnv
    from durableq.testing.errors import EnvError, EnvFailure, NobodyListens
    from durableq.testing.steps import SeenStep

__all__ = ["AsyncTestEnv", "EnvError", "EnvFailure", "NobodyListens", "SeenStep", "TestEnv"]

_HOMES: Final = {"AsyncTestEnv": "environment", "SeenStep": "steps", "TestEnv": "environment"}
"""The module of each public name; of those not listed, the errors, `errors`."""


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_HOMES.get(name, 'errors')}"), name)
    globals()[name] = value  # the next look finds it without coming here
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
