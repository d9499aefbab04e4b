"""The flags that say which runs a command is for, where it is not given their ids."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any, Final, NamedTuple, TypeVar

import click

from durableq.model.run_filter import RunFilter
from durableq.words.errors import ConfigError

F = TypeVar("F", bound=Callable[..., Any])


class Selection(NamedTuple):
    """What the flags say: a filter, and functions by full or short ids, which somebody has yet to resolve."""

    wanted: RunFilter
    functions: tuple[str, ...]


_WHEN: Final = "A duration ago (30m, 2h, 7d), or a time in ISO 8601."


def filter_options(command: F) -> F:
    """--function, --app, --status, --since, --until, --error and --where."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def _option(flag: str, name: str, metavar: str, about: str, **more: Any) -> Callable[[F], F]:
    variable = f"DURABLEQ_BULK_{flag.removeprefix('--').upper()}"
    return click.option(flag, name, metavar=metavar, envvar=variable, show_envvar=True, help=about, **more)


_OPTIONS: Final = (
    _option(
        "--function",
        "functions",
        "ID",
        "Of this function: `app/function`, or `function`; may be given again.",
        multiple=True,
    ),
    _option("--app", "app", "ID", "Of all functions of this app."),
    _option(
        "--status", "statuses", "S,…", "In these states, separated by commas. Default: all that the command is for."
    ),
    _option("--since", "since", "WHEN", f"Created then or later. {_WHEN}"),
    _option("--until", "until", "WHEN", f"Created then or before. {_WHEN}"),
    _option(
        "--error", "error", "CLASS", "Ended by an error of this class, or of a subclass: its name, or module.Name."
    ),
    _option("--where", "where", "EXPR", "For which this expression over `event` and `run` holds."),
)


def filter_given(
    functions: tuple[str, ...],
    app: str | None,
    statuses: str | None,
    since: str | None,
    until: str | None,
    error: str | None,
    where: str | None,
) -> Selection | None:
    """None where no flag says anything. Raises click.UsageError."""
    given: dict[str, Any] = {
        "app": app,
        "status": None if statuses is None else [name.strip().lower() for name in statuses.split(",")],
        "since": None if since is None else _moment(since),
        "until": None if until is None else _moment(until),
        "error": error,
        "where": where,
    }
    if not functions and all(value is None for value in given.values()):
        return None
    try:
        return Selection(RunFilter(**given), functions)
    except ConfigError as wrong:
        raise click.UsageError(f"{wrong}".replace("RunFilter ", "--")) from None


def named_or_meant(runs: Sequence[str], selection: Selection | None) -> Selection | None:
    """The selection, where flags mean the runs; None where they are named. Raises click.UsageError for neither and both."""
    if runs and selection is not None:
        raise click.UsageError("name runs, or say with flags which are meant: not both")
    if not runs and selection is None:
        raise click.UsageError(
            "name runs, or say which are meant: --function, --app, --status, --since, --until, --error, --where"
        )
    return selection


def _moment(text: str) -> str | float | datetime:
    """A number is seconds; a time without a zone, as screens show it, is this machine's."""
    try:
        return float(text)
    except ValueError:
        pass
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        return text
    return at.astimezone() if at.tzinfo is None else at
