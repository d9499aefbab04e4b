"""`durableq health`: whether a worker or a scheduler moves, by the age of its health file. Probes run it: it imports little."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Any, Final

import click

from durableq.words.errors import ConfigError
from durableq.words.periods import format_ms, to_ms

EXIT_OK: Final = 0
EXIT_UNHEALTHY: Final = 1
SHORTEST_MS: Final = 5_000


def _age(_ctx: click.Context, _param: click.Parameter, value: Any) -> int:
    """The callback of --max-age, in ms. A file is touched every second, so less than a few would fail by chance."""
    try:
        given = float(value) if str(value).replace(".", "", 1).isdecimal() else value
        return to_ms("--max-age", given, minimum_ms=SHORTEST_MS)
    except ConfigError as error:
        raise click.BadParameter(str(error).removeprefix("--max-age ")) from None


@click.command("health")
@click.argument("path", envvar="DURABLEQ_HEALTH_FILE", type=click.Path(path_type=Path))
@click.option(
    "--max-age",
    callback=_age,
    metavar="DURATION",
    default="30s",
    show_default=True,
    envvar="DURABLEQ_HEALTH_MAX_AGE",
    show_envvar=True,
    help="How old the file may be; 5s or more.",
)
def command(path: Path, max_age: int) -> None:
    """Look at a health file: exit 0 if it was touched lately, else 1.

    PATH, or DURABLEQ_HEALTH_FILE, is what --health-file of the worker or scheduler names. Says whether that process and its
    children move, never whether Redis is up.
    """
    try:
        age_ms = (time.time() - path.stat().st_mtime) * 1000
    except OSError as error:
        click.echo(f"unhealthy: {path}: {error.strerror or error}", err=True)
        sys.exit(EXIT_UNHEALTHY)
    # Older than the future as well: after the clock was set back, a process that moves touches it again within a second.
    if abs(age_ms) > max_age:
        when = f"{format_ms(age_ms)} ago" if age_ms > 0 else f"{format_ms(-age_ms)} in the future"
        click.echo(f"unhealthy: {path} was touched {when}, which is more than {format_ms(max_age)}", err=True)
        sys.exit(EXIT_UNHEALTHY)
    click.echo(f"healthy: {path} was touched {format_ms(max(0.0, age_ms))} ago")
    sys.exit(EXIT_OK)
