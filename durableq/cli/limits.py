"""`durableq limits`: the keys of limits, those under most pressure first."""

from __future__ import annotations

import click

from durableq.cli import plain, plain_flow
from durableq.cli.asking import ask
from durableq.cli.flow_text import limits_text
from durableq.cli.naming import full_id
from durableq.cli.options import explained, json_option, redis_or_dev_options
from durableq.cli.places import find
from durableq.client import Client
from durableq.runs import LIST_MAX
from durableq.services.flow_views import LimitsView


@click.command("limits")
@click.option(
    "--app",
    metavar="ID",
    default=None,
    envvar="DURABLEQ_LIMITS_APP",
    show_envvar=True,
    help="Only of this app's functions.",
)
@click.option(
    "--function",
    metavar="ID",
    default=None,
    envvar="DURABLEQ_LIMITS_FUNCTION",
    show_envvar=True,
    help="Only of this function: `app/function`, or `function`.",
)
@click.option(
    "--limit",
    type=click.IntRange(1, LIST_MAX),
    default=20,
    show_default=True,
    envvar="DURABLEQ_LIMITS_LIMIT",
    show_envvar=True,
    help="At most so many keys; how many more there are is told.",
)
@json_option
@redis_or_dev_options
@explained
def command(
    app: str | None, function: str | None, limit: int, as_json: bool, redis_url: str | None, namespace: str | None
) -> None:
    """List the keys of limits by pressure: runs parked for each slot, then how long the oldest waits.

    Concurrency and singletons with who holds the slots, throttles with when the next run may start, rate limits with what is
    used of their window. A limit that several functions share stands there once.
    """

    async def asked(client: Client) -> LimitsView:
        only = None
        if function is not None:
            only = full_id(function, [view.id for view in await client.functions()], "--function")
        return await client.limits(app=app, function=only, limit=limit)

    view = ask(find(redis_url, namespace, or_dev=True), asked)
    click.echo(plain.to_json(plain_flow.limits(view)) if as_json else limits_text(view))
