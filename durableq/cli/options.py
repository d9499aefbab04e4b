"""Options that several commands share, and how their errors leave the process.

Exit codes: 0 done; 1 it failed; 2 the command line is wrong (click); 69 Redis cannot be reached; 75 the namespace is lost;
78 a setting is wrong; 130 interrupted twice.
"""

from __future__ import annotations

import functools
import os
import sys
from collections.abc import Callable
from typing import Any, Final, TypeVar

import click

from durableq.cli.logs import FORMATS, LEVELS
from durableq.model.config import Place, Resolved
from durableq.store.address import check_url
from durableq.words.errors import (
    ConfigError,
    DurableqError,
    RedisRefused,
    RedisUnavailable,
    StateLost,
    UnknownSchema,
)
from durableq.words.periods import to_ms

EXIT_FAILED: Final = 1
EXIT_UNAVAILABLE: Final = 69
EXIT_STATE_LOST: Final = 75
EXIT_CONFIG: Final = 78

F = TypeVar("F", bound=Callable[..., Any])


def redis_options(command: F) -> F:
    """--redis-url and --namespace."""
    command = click.option(
        "--namespace", metavar="ID", help="The namespace. [DURABLEQ_NAMESPACE; default: default]", default=None
    )(command)
    return click.option(
        "--redis-url",
        metavar="URL",
        default=None,
        help="redis://, rediss:// or unix://. [DURABLEQ_URL, REDIS_TLS_URL, REDIS_URL, VALKEY_URL; "
        "default: redis://localhost:6379/0]",
    )(command)


def log_options(command: F) -> F:
    """--log-format and --log-level."""
    command = click.option(
        "--log-level",
        type=click.Choice(LEVELS),
        default="info",
        envvar="DURABLEQ_LOG_LEVEL",
        show_envvar=True,
        show_default=True,
    )(command)
    return click.option(
        "--log-format",
        type=click.Choice(FORMATS),
        default="auto",
        envvar="DURABLEQ_LOG_FORMAT",
        show_envvar=True,
        show_default=True,
        help="auto: readable on a terminal, JSON otherwise.",
    )(command)


def place(redis_url: str | None, namespace: str | None) -> Resolved:
    """The URL, checked, and the namespace, from options and environment."""
    found = Place(redis_url, namespace).resolved(os.environ)
    return Resolved(check_url(found.redis_url), found.namespace)


class Seconds(click.ParamType):
    """A duration on a command line: 25, 25s, 1m30s. In seconds."""

    name = "duration"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        if isinstance(value, (int, float)):
            return float(value)
        try:
            return to_ms(param.opts[0] if param else "duration", float(value) if _number(value) else value) / 1000
        except ConfigError as error:
            self.fail(str(error), param, ctx)


def _number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def explained(command: F) -> F:
    """Turn our errors into one line on stderr and an exit code."""

    @functools.wraps(command)
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        try:
            return command(*args, **kwargs)
        except DurableqError as error:
            click.echo(f"durableq: {error}", err=True)
            sys.exit(exit_code(error))

    return wrapped  # type: ignore[return-value]


def exit_code(error: DurableqError) -> int:
    """The exit code that this error leaves with."""
    if isinstance(error, (ConfigError, RedisRefused, UnknownSchema)):
        return EXIT_CONFIG
    if isinstance(error, StateLost):
        return EXIT_STATE_LOST
    if isinstance(error, RedisUnavailable):
        return EXIT_UNAVAILABLE
    return EXIT_FAILED
