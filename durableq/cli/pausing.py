"""`durableq functions pause ID…` and `durableq functions resume ID…`."""

from __future__ import annotations

from collections.abc import Sequence

import click

from durableq.cli import plain
from durableq.cli.asking import ask
from durableq.cli.naming import full_id
from durableq.cli.options import explained, json_option, redis_or_dev_options
from durableq.cli.places import find
from durableq.client import Client
from durableq.store.flow import RESUME, SKIP, WAIT

_NEW = {WAIT: "what starts it meanwhile waits", SKIP: "what would start it meanwhile is left out"}


@click.command("pause")
@click.argument("functions", nargs=-1, required=True, metavar="ID…")
@click.option(
    "--skip",
    is_flag=True,
    envvar="DURABLEQ_PAUSE_SKIP",
    show_envvar=True,
    help="Leave out what would start them meanwhile. Without this it waits.",
)
@json_option
@redis_or_dev_options
@explained
def pause(functions: tuple[str, ...], skip: bool, as_json: bool, redis_url: str | None, namespace: str | None) -> None:
    """Have no run of these functions claimed any more, until `durableq functions resume`.

    ID is `app/function`, or `function`. What is queued stays so. A run that executes goes on to the end of its turn, and is
    queued when it wakes. Times go on. Exit code 1: one of them is not registered; none was paused.
    """
    mode = SKIP if skip else WAIT
    for name, changed in _done(functions, mode, as_json, redis_url, namespace):
        click.echo(f"{name} {'is paused' if changed else 'was paused already'}: {_NEW[mode]}")


@click.command("resume")
@click.argument("functions", nargs=-1, required=True, metavar="ID…")
@json_option
@redis_or_dev_options
@explained
def resume(functions: tuple[str, ...], as_json: bool, redis_url: str | None, namespace: str | None) -> None:
    """Let paused functions go on, with what was queued first.

    ID is `app/function`, or `function`. Exit code 1: one of them is not registered; none was resumed.
    """
    for name, changed in _done(functions, RESUME, as_json, redis_url, namespace):
        click.echo(f"{name} {'goes on' if changed else 'was not paused'}")


def _done(
    functions: Sequence[str], mode: str, as_json: bool, redis_url: str | None, namespace: str | None
) -> list[tuple[str, bool]]:
    """Per function whether that changed something; nothing where it was printed as JSON."""

    async def paused(client: Client) -> list[tuple[str, bool]]:
        known = await client._registered()
        named = dict.fromkeys(full_id(given, known, "ID") for given in functions)
        return [(name, await client._pause(name, mode)) for name in named]

    done = ask(find(redis_url, namespace, or_dev=True), paused)
    if not as_json:
        return done
    click.echo(plain.to_json([{"id": name, "paused": mode or None, "changed": changed} for name, changed in done]))
    return []
