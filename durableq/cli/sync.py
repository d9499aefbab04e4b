"""`durableq sync`: registers a deployment before its workers start, in a platform's release phase. Executes nothing."""

from __future__ import annotations

import asyncio

import click

from durableq.app import App
from durableq.cli import plain
from durableq.cli.asking import ANSWER_S
from durableq.cli.deployment import declarations_of, release_of
from durableq.cli.discovery import named_apps
from durableq.cli.loading import load_apps
from durableq.cli.options import (
    apps_argument,
    eviction_option,
    explained,
    json_option,
    redis_options,
    release_option,
    seconds,
)
from durableq.cli.places import Found, find, say_unverified
from durableq.cli.texts import clean
from durableq.model.flow_text import FLOW_OPTIONS, flow_phrases
from durableq.services.deploying import Change, Deployed, deploy
from durableq.store.opening import calls_on, check_server, open_link, open_within
from durableq.store.registry import Registry
from durableq.words.errors import RedisRefused, RedisUnavailable


@click.command("sync")
@apps_argument
@redis_options
@release_option
@click.option(
    "--wait",
    "wait_s",
    callback=seconds,
    metavar="DURATION",
    default="30s",
    show_default=True,
    envvar="DURABLEQ_SYNC_WAIT",
    show_envvar=True,
    help="How long to wait for Redis before giving up.",
)
@eviction_option
@json_option
@explained
def command(
    apps: tuple[str, ...],
    redis_url: str | None,
    namespace: str | None,
    release: str,
    wait_s: float,
    allow_eviction: bool,
    as_json: bool,
) -> None:
    """Make what the apps declare the newest deployment, and print what that changed. For a release phase.

    Events are routed to the new functions from here on; their runs are queued until a worker that has them starts.
    Functions that are gone are forgotten, at once where no worker has them any more, else 10 minutes after the last one
    left. The same again changes nothing. An older release becomes the newest again, which is what a rollback needs.
    """
    named = named_apps(apps)
    found = find(redis_url, namespace)
    loaded = list(load_apps(named).values())
    for app in loaded:
        app.connect_to(found.redis_url, found.namespace)
    say_unverified(found)
    try:
        deployed = asyncio.run(_sync(found, loaded, release_of(release, loaded), wait_s, allow_eviction))
    except (RedisUnavailable, RedisRefused) as error:
        error.add_note(found.told())
        raise
    if as_json:
        click.echo(plain.to_json([plain.deployed(each) for each in deployed]))
    else:
        for each in deployed:
            click.echo(_text(each))


async def _sync(found: Found, apps: list[App], release: str, wait_s: float, allow_eviction: bool) -> list[Deployed]:
    def away(waited_s: float, error: RedisUnavailable) -> None:
        click.echo(f"durableq sync: {error}; waiting for it ({waited_s:.0f} of {wait_s:g} s)", err=True)

    link = open_link(found.redis_url, "sync")
    try:
        calls = calls_on(link, found.namespace)
        await open_within(calls, found.redis_url, wait_s, away)
        async with asyncio.timeout(ANSWER_S):
            await check_server(calls, allow_eviction=allow_eviction)
            registry = Registry(calls)
            return [await deploy(registry, app.id, release, declarations_of(app)) for app in apps]
    except TimeoutError:
        raise RedisUnavailable(f"Redis went away, and did not come back within {ANSWER_S:g} s") from None
    finally:
        await link.close()


def _text(deployed: Deployed) -> str:
    count = f"{deployed.functions} function{'s' * (deployed.functions != 1)}"
    lines = [f"{deployed.app}, release {deployed.release}: {count}"]
    lines += [f"  added    {name}" for name in deployed.added]
    lines += [f"  changed  {name}: {', '.join(map(_change, changes))}" for name, changes in deployed.changed.items()]
    lines += [f"  removed  {name}" for name in deployed.removed if name not in deployed.lingering]
    lines += [f"  leaving  {name}: a worker still has it" for name in deployed.lingering]
    return "\n".join(lines if len(lines) > 1 else [f"{lines[0]}, nothing changed"])


def _change(change: Change) -> str:
    values = (change.before, change.after)
    if change.option in FLOW_OPTIONS:
        before, after = (flow_phrases({change.option: value}).get(change.option, "none") for value in values)
        return f"{change.option} {clean(before)} -> {clean(after)}"
    if all(isinstance(value, (str, int, float)) for value in values):
        return f"{change.option} {change.before} -> {change.after}"
    return change.option
