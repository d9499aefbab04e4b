"""durableq: durable execution and worker queues for Python that need nothing but Redis.

Names are imported when they are first asked for: the command line lies in this package, and its `--help` must not wait
for the Redis client. Type checkers read the imports below, programs read `_HOMES`; a test compares the two.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from durableq.app import App
    from durableq.client import Client
    from durableq.engine.context import Context
    from durableq.engine.sync import SyncContext
    from durableq.handles import RunHandle, SyncRunHandle
    from durableq.model.backoff import Backoff
    from durableq.model.cancelling import CancelOn, Timeouts
    from durableq.model.collecting import Batch, Debounce
    from durableq.model.concurrency import Concurrency
    from durableq.model.event import Event
    from durableq.model.function import Function
    from durableq.model.limits import Limits
    from durableq.model.pacing import RateLimit, Throttle
    from durableq.model.run_filter import RunFilter
    from durableq.model.signal import Signal
    from durableq.model.singleton import Singleton
    from durableq.model.trigger import CronTrigger, EventTrigger
    from durableq.words.errors import (
        CodecError,
        ConfigError,
        DurableqError,
        EventError,
        ExpressionError,
        FunctionNotFound,
        InvokeError,
        InvokeTimeout,
        LimitExceeded,
        NestedStep,
        NonRetriableError,
        QueueFull,
        RedisRefused,
        RedisUnavailable,
        ResultTimeout,
        RetryAfterError,
        RunCancelled,
        RunFailed,
        RunNotFound,
        RunSkipped,
        SendError,
        SignalTaken,
        StateLost,
        StepError,
        StepTimeout,
        SyncInLoop,
        UnknownSchema,
        WorkerCrashed,
    )

__version__ = "0.1.0"

__all__ = [
    "App",
    "Backoff",
    "Batch",
    "CancelOn",
    "Client",
    "CodecError",
    "Concurrency",
    "ConfigError",
    "Context",
    "CronTrigger",
    "Debounce",
    "DurableqError",
    "Event",
    "EventError",
    "EventTrigger",
    "ExpressionError",
    "Function",
    "FunctionNotFound",
    "InvokeError",
    "InvokeTimeout",
    "LimitExceeded",
    "Limits",
    "NestedStep",
    "NonRetriableError",
    "QueueFull",
    "RateLimit",
    "RedisRefused",
    "RedisUnavailable",
    "ResultTimeout",
    "RetryAfterError",
    "RunCancelled",
    "RunFailed",
    "RunFilter",
    "RunHandle",
    "RunNotFound",
    "RunSkipped",
    "SendError",
    "Signal",
    "SignalTaken",
    "Singleton",
    "StateLost",
    "StepError",
    "StepTimeout",
    "SyncContext",
    "SyncInLoop",
    "SyncRunHandle",
    "Throttle",
    "Timeouts",
    "UnknownSchema",
    "WorkerCrashed",
]

_HOMES: Final = {
    "App": "app",
    "Backoff": "model.backoff",
    "Batch": "model.collecting",
    "CancelOn": "model.cancelling",
    "Client": "client",
    "Concurrency": "model.concurrency",
    "Context": "engine.context",
    "CronTrigger": "model.trigger",
    "Debounce": "model.collecting",
    "Event": "model.event",
    "EventTrigger": "model.trigger",
    "Function": "model.function",
    "Limits": "model.limits",
    "RateLimit": "model.pacing",
    "RunFilter": "model.run_filter",
    "RunHandle": "handles",
    "Signal": "model.signal",
    "Singleton": "model.singleton",
    "SyncContext": "engine.sync",
    "SyncRunHandle": "handles",
    "Throttle": "model.pacing",
    "Timeouts": "model.cancelling",
}
"""The module of each public name; of those not listed, the errors, `words.errors`."""


def __getattr__(name: str) -> Any:
    if name not in __all__:
        if not name.startswith("_"):
            # Of inngest-py's names ours is told. Not as an AttributeError: `from durableq import …` would keep it to itself.
            import_module(f"{__name__}.words.familiar").refuse_of_module(name)
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_HOMES.get(name, 'words.errors')}"), name)
    globals()[name] = value  # the next look finds it without coming here
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
