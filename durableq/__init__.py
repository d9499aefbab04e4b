"""durableq: durable execution and worker queues for Python that need nothing but Redis."""

from durableq.app import App
from durableq.client import Client
from durableq.engine.context import Context
from durableq.engine.sync import SyncContext
from durableq.model.backoff import Backoff
from durableq.model.event import Event
from durableq.model.function import Function
from durableq.model.limits import Limits
from durableq.model.trigger import EventTrigger
from durableq.words.errors import (
    CodecError,
    ConfigError,
    DurableqError,
    EventError,
    ExpressionError,
    LimitExceeded,
    NestedStep,
    NonRetriableError,
    QueueFull,
    RedisRefused,
    RedisUnavailable,
    RetryAfterError,
    RunNotFound,
    SendError,
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
    "Client",
    "CodecError",
    "ConfigError",
    "Context",
    "DurableqError",
    "Event",
    "EventError",
    "EventTrigger",
    "ExpressionError",
    "Function",
    "LimitExceeded",
    "Limits",
    "NestedStep",
    "NonRetriableError",
    "QueueFull",
    "RedisRefused",
    "RedisUnavailable",
    "RetryAfterError",
    "RunNotFound",
    "SendError",
    "StateLost",
    "StepError",
    "StepTimeout",
    "SyncContext",
    "SyncInLoop",
    "UnknownSchema",
    "WorkerCrashed",
]
