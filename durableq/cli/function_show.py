"""`durableq functions show ID`: one function with its flow control as it stands."""

from __future__ import annotations

import click

from durableq.cli import plain, plain_flow
from durableq.cli.asking import ask
from durableq.cli.flow_text import function_text
from durableq.cli.naming import full_id
from durableq.cli.options import explained, json_option, redis_or_dev_options
from durableq.cli.places import find
from durableq.client import Client
from durableq.runs import LIST_MAX
from durableq.services.flow_looks import FunctionFlowView


@click.command("show")
@click.argument("function", metavar="ID")
@click.option(
    "--limit",
    type=click.IntRange(1, LIST_MAX),
    default=10,
    show_default=True,
    envvar="DURABLEQ_FUNCTIONS_LIMIT",
    show_envvar=True,
    help="At most so many keys, events held back, and skips; how many more there are is told.",
)
@json_option
@redis_or_dev_options
@explained
def show(function: str, limit: int, as_json: bool, redis_url: str | None, namespace: str | None) -> None:
    """Show one function: its limits, what is held, parked, held back and due now, and what was left out, with the reasons.

    ID is `app/function`, or `function`. Times are those of this machine.
    """

    async def asked(client: Client) -> FunctionFlowView:
        only = full_id(function, [view.id for view in await client.functions()], "function")
        return await client.function(only, limit=limit)

    view = ask(find(redis_url, namespace, or_dev=True), asked)
    if as_json:
        click.echo(plain.to_json({**plain.function(view.function), **plain_flow.function_flow(view)}))
    else:
        click.echo(function_text(view, view.limits.now_ms))
