"""`durableq doctor`: looks at the server and the namespace, and says what is wrong, what it means, how to mend it.

It only reads: no key is written, not even the identity that a client would give a new namespace.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Mapping, Sequence
from typing import Any, Final

import click

from durableq.cli import plain
from durableq.cli.asking import REACH_S, explain
from durableq.cli.deployment import declarations_of
from durableq.cli.discovery import named_apps
from durableq.cli.doctor_text import findings_text
from durableq.cli.loading import load_apps
from durableq.cli.options import EXIT_FAILED, apps_argument, explained, json_option, redis_or_dev_options
from durableq.cli.places import Found, find, say_unverified
from durableq.services.doctor.examination import examine
from durableq.services.doctor.facts import Plan
from durableq.services.doctor.finding import Finding, Severity
from durableq.store.checkup import Checkup
from durableq.store.opening import calls_on, open_link
from durableq.words.clock import SystemClock
from durableq.words.errors import RedisRefused, RedisUnavailable

WORKERS_MAX: Final = 10_000
PROCESSES_MAX: Final = 256


@click.command("doctor")
@apps_argument
@redis_or_dev_options
@click.option(
    "--workers",
    type=click.IntRange(1, WORKERS_MAX),
    default=1,
    show_default=True,
    envvar="DURABLEQ_DOCTOR_WORKERS",
    show_envvar=True,
    help="Workers that you want to start: connections must suffice for them.",
)
@click.option(
    "--processes",
    type=click.IntRange(1, PROCESSES_MAX),
    default=1,
    show_default=True,
    envvar="DURABLEQ_PROCESSES",
    show_envvar=True,
    help="Child processes of each.",
)
@json_option
@explained
def command(
    apps: tuple[str, ...],
    redis_url: str | None,
    namespace: str | None,
    workers: int,
    processes: int,
    as_json: bool,
) -> None:
    """Check the Redis and the namespace: version, persistence, memory, latency, clocks, schedulers, workers, what is stuck.

    Each finding says what was seen, what it means and how to mend it. With apps named, what they declare is compared with
    what is registered. Nothing is written. Exits 1 when there is a problem, 0 when there is none.
    """
    found = find(redis_url, namespace, or_dev=True)
    plan = Plan(workers, processes, _declared(apps))
    say_unverified(found)
    findings = asyncio.run(_examined(found, plan))
    if as_json:
        click.echo(plain.to_json([_plain(finding) for finding in findings]))
    else:
        click.echo(findings_text(findings, found))
    if any(finding.severity is Severity.PROBLEM for finding in findings):
        sys.exit(EXIT_FAILED)


def _declared(references: Sequence[str]) -> Mapping[str, Mapping[str, bytes]]:
    """What the apps that were named declare; nothing without any, since a check-up need not import anybody's code."""
    if not references:
        return {}
    return {app.id: declarations_of(app) for app in load_apps(named_apps(references)).values()}


async def _examined(found: Found, plan: Plan) -> list[Finding]:
    link = open_link(found.redis_url, "doctor")
    clock = SystemClock()
    try:
        calls = calls_on(link, found.namespace)
        await Checkup(calls, clock).greet(REACH_S)
        return await examine(calls, clock, plan)
    except (RedisUnavailable, RedisRefused) as error:
        raise await explain(error, found) from error.__cause__
    finally:
        await link.close()


def _plain(finding: Finding) -> dict[str, Any]:
    return {
        "check": finding.check,
        "id": finding.id,
        "severity": finding.severity.value,
        "seen": finding.seen,
        "means": finding.means or None,
        "mend": finding.mend or None,
    }
