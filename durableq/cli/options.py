"""Options that several commands share, and how their errors leave the process.

Exit codes: 0 done; 1 it failed; 2 the command line is wrong (click); 3 the awaited run was cancelled; 69 Redis cannot be
reached; 75 the namespace is lost; 78 a setting is wrong; 124 the awaited run has not ended in time; 130 interrupted.
"""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable
from typing import Any, Final, TypeVar

import click

from durableq.cli.logs import FORMATS, LEVELS
from durableq.words.errors import (
    ConfigError,
    DurableqError,
    RedisRefused,
    RedisUnavailable,
    ResultTimeout,
    RunCancelled,
    RunSkipped,
    SendError,
    StateLost,
    UnknownSchema,
)
from durableq.words.periods import to_ms

EXIT_FAILED: Final = 1
EXIT_CANCELLED: Final = 3
EXIT_SKIPPED: Final = 4
EXIT_UNAVAILABLE: Final = 69
EXIT_STATE_LOST: Final = 75
EXIT_CONFIG: Final = 78
EXIT_NOT_ENDED: Final = 124
"""As of timeout(1)."""
EXIT_INTERRUPTED: Final = 130

F = TypeVar("F", bound=Callable[..., Any])

_URL_ORDER: Final = "[DURABLEQ_URL, REDIS_TLS_URL, REDIS_URL, VALKEY_URL; {}default: redis://localhost:6379/0]"


def redis_options(command: F) -> F:
    """--redis-url and --namespace, of commands that execute or fire."""
    return _redis_url(_URL_ORDER.format(""))(namespace_option(command))


def redis_or_dev_options(command: F) -> F:
    """The same, of commands that talk to what runs: `durableq dev` tells them by a file."""
    return _redis_url(_URL_ORDER.format("what `durableq dev` in this directory says; "))(namespace_option(command))


def namespace_option(command: F) -> F:
    """--namespace."""
    return click.option(
        "--namespace",
        metavar="ID",
        default=None,
        envvar="DURABLEQ_NAMESPACE",
        show_envvar=True,
        help="The wall within which apps share events; 'default' without it.",
    )(command)


def _redis_url(order: str) -> Callable[[F], F]:
    return click.option(
        "--redis-url", metavar="URL", default=None, help=f"A redis://, rediss:// or unix:// URL. {order}"
    )


def apps_argument(command: F) -> F:
    """The apps that a command is for."""
    return click.argument("apps", nargs=-1, metavar="[MODULE:APP]...")(command)


def release_option(command: F) -> F:
    """--release."""
    return click.option(
        "--release",
        metavar="ID",
        default="",
        envvar="DURABLEQ_RELEASE",
        show_envvar=True,
        help="The deployment's id. Default: the platform's release, else a hash of the declarations.",
    )(command)


def globs_option(flag: str, variable: str, about: str) -> Callable[[F], F]:
    """An option of globs: given several times, or several in one, separated by commas or spaces."""
    return click.option(
        flag, multiple=True, callback=_split, metavar="GLOB", envvar=variable, show_envvar=True, help=about
    )


def _split(_ctx: click.Context, param: click.Parameter, value: tuple[str, ...]) -> tuple[str, ...]:
    globs = tuple(glob for text in value for glob in text.replace(",", " ").split())
    if value and not globs:
        raise click.BadParameter("is empty: leave it out, or name functions", param=param)
    return globs


def json_option(command: F) -> F:
    """--json."""
    return click.option(
        "--json",
        "as_json",
        is_flag=True,
        envvar="DURABLEQ_JSON",
        show_envvar=True,
        help="Print JSON, for programs. Times are unix ms.",
    )(command)


def eviction_option(command: F) -> F:
    """--allow-eviction."""
    return click.option(
        "--allow-eviction",
        is_flag=True,
        envvar="DURABLEQ_ALLOW_EVICTION",
        show_envvar=True,
        help="Work on a Redis that evicts keys when full. It will lose runs.",
    )(command)


def health_option(command: F) -> F:
    """--health-file."""
    return click.option(
        "--health-file",
        default="",
        metavar="PATH",
        envvar="DURABLEQ_HEALTH_FILE",
        show_envvar=True,
        help="Touch this file every second while the process moves, for `durableq health` to look at.",
    )(command)


def log_options(command: F) -> F:
    """--log-format and --log-level."""
    command = click.option(
        "--log-level",
        type=click.Choice(LEVELS, case_sensitive=False),
        default="info",
        envvar="DURABLEQ_LOG_LEVEL",
        show_envvar=True,
        show_default=True,
        help="The least of what is logged.",
    )(command)
    return click.option(
        "--log-format",
        type=click.Choice(FORMATS, case_sensitive=False),
        default="auto",
        envvar="DURABLEQ_LOG_FORMAT",
        show_envvar=True,
        show_default=True,
        help="auto: readable on a terminal, JSON otherwise.",
    )(command)


def seconds(_ctx: click.Context, param: click.Parameter, value: Any) -> float:
    """The callback of an option that is a duration: 25, 25s, 1m30s. In seconds."""
    try:
        return to_ms(param.opts[0], float(value) if _number(value) else value) / 1000
    except ConfigError as error:
        raise click.BadParameter(str(error).removeprefix(f"{param.opts[0]} ")) from None


def _number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def explained(command: F) -> F:
    """Turn our errors into lines on stderr and an exit code."""

    @functools.wraps(command)
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        try:
            return command(*args, **kwargs)
        except DurableqError as error:
            click.echo(f"durableq: {error}", err=True)
            for note in getattr(error, "__notes__", ()):
                click.echo(f"  {note}", err=True)
            sys.exit(exit_code(error))

    return wrapped  # type: ignore[return-value]


def exit_code(error: DurableqError) -> int:
    """The exit code that this error leaves with."""
    if isinstance(error, (ConfigError, RedisRefused, UnknownSchema)):
        return EXIT_CONFIG
    if isinstance(error, StateLost):
        return EXIT_STATE_LOST
    if isinstance(error, SendError) and isinstance(error.__cause__, RedisUnavailable):
        return EXIT_UNAVAILABLE
    if isinstance(error, RedisUnavailable):
        return EXIT_UNAVAILABLE
    if isinstance(error, RunCancelled):
        return EXIT_CANCELLED
    if isinstance(error, RunSkipped):
        return EXIT_SKIPPED
    if isinstance(error, ResultTimeout):
        return EXIT_NOT_ENDED
    return EXIT_FAILED
