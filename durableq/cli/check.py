"""`durableq check`: imports the apps and tells everything that is wrong with them. Needs no Redis."""

from __future__ import annotations

import os
import sys

import click

from durableq.app import App
from durableq.cli import plain, texts
from durableq.cli.discovery import named_apps
from durableq.cli.loading import try_apps
from durableq.cli.options import EXIT_FAILED, apps_argument, explained, json_option
from durableq.cli.reasons import Reason, reason_of
from durableq.cli.salvage import salvaging
from durableq.model.flow_text import flow_line


@click.command("check")
@apps_argument
@json_option
@explained
def command(apps: tuple[str, ...], as_json: bool) -> None:
    """Import the apps and validate what they declare: triggers, expressions, options, ids. For continuous integration.

    Exits 1 with all the reasons why a worker could not serve them, each with the line to mend, or 0 with a summary.
    Nothing is executed but the import of the modules, and no Redis is needed.
    """
    named = named_apps(apps)
    reasons: list[Reason] = []
    with salvaging([os.getcwd(), *filter(None, [named.directory])], lambda error: reasons.append(reason_of(error))):
        loaded = try_apps(named, reasons)
    if as_json:
        click.echo(plain.to_json(plain.checked(loaded, reasons)))
    elif reasons:
        for reason in reasons:
            click.echo(f"durableq check: {reason}", err=True)
    else:
        click.echo(_summary(loaded))
    sys.exit(EXIT_FAILED if reasons else 0)


def _summary(loaded: dict[str, App]) -> str:
    rows = [
        (function.full_id, ", ".join(map(str, function.triggers)) or "invoke", function.origin)
        for app in loaded.values()
        for function in app.functions.values()
    ]
    limits = [
        f"{function.full_id}: {texts.clean(line)}"
        for app in loaded.values()
        for function in app.functions.values()
        if (line := flow_line(function.flow.to_map()))
    ]
    apps, functions = len(loaded), len(rows)
    good = f"ok: {apps} app{'s' * (apps != 1)}, {functions} function{'s' * (functions != 1)}"
    return "\n".join([texts.table(("function", "triggers", "declared"), rows), *limits, good])
