"""What `durableq dev` says to the person who started it: which server runs and where, what is served, the line to paste.

On stderr, so that stdout stays one log. Said when it is true: the line to paste names an event that a worker waits for.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import shlex
from collections.abc import Mapping, Sequence
from typing import Any, Final

import click

from durableq.cli.places import url_variable
from durableq.cli.texts import clean, started_by, table
from durableq.model.event import RESERVED_PREFIXES
from durableq.store.calls import Calls
from durableq.store.reads import Reads
from durableq.store.registry import Registry
from durableq.store.upkeep import Upkeep
from durableq.words import codec

LOOK_S: Final = 0.05
FILES_NAMED: Final = 3

Triggers = Mapping[str, Sequence[str]]
"""By full id of the function, what starts it: an event's name or pattern with its condition, or a cron expression."""


def say(text: str) -> None:
    """One line to the person. Lost where there is no terminal any more."""
    with contextlib.suppress(OSError):
        click.echo(f"durableq dev: {text}", err=True)


async def server_name(calls: Calls) -> str:
    """The server's own name and version."""
    about = await Upkeep(calls).server()
    valkey = about.get("valkey_version")
    return f"Valkey {valkey}" if valkey else f"Redis {about.get('redis_version', 'of an unknown version')}"


async def served(calls: Calls, release: str) -> dict[str, list[str]]:
    """The functions that a worker of this release has, each with its triggers. Waits until there is such a worker.

    Raises what reading raises.
    """
    while True:
        rows = await Reads(calls).leases()
        functions = sorted({function for row in rows if row.release == release for function in row.functions})
        _, declarations = await Registry(calls).read()
        if functions and all(function in declarations for function in functions):
            return {function: _triggers(declarations[function]) for function in functions}
        await asyncio.sleep(LOOK_S)


def _triggers(declaration: bytes) -> list[str]:
    stored: dict[str, Any] = codec.decode(declaration)
    return [_trigger(trigger) for trigger in stored["triggers"]]


def _trigger(stored: Mapping[str, Any]) -> str:
    if "event" not in stored:
        return f"cron {stored['cron']} {stored['timezone']}"
    return f"{stored['event']} if {stored['if']}" if "if" in stored else str(stored["event"])


def welcome(functions: Triggers, to_send: str, to_look: str, reloads: bool) -> str:
    """What is served, and what to do next."""
    rows = [(function, started_by(function, triggers, " or ") or "invoke") for function, triggers in functions.items()]
    count = _counted(functions)
    code = "a change of the code starts a new worker" if reloads else "the code is read once (--no-reload)"
    next_step = "To send an event, in this directory" if to_send else "To see what runs, in this directory"
    lines = [f"ready, {count}; {code}\n", table(("function", "started by"), rows, "    "), "", f"{next_step}:", ""]
    lines += [f"    {line}" for line in (to_send, to_look) if line]
    if to_send and all(map(_has_condition, _sendable(functions))):
        lines += ["", "Its data must meet the condition of a trigger above."]
    return "\n".join([*lines, ""])


def reloaded(before: Triggers, now: Triggers) -> str:
    """What has become of the functions."""
    changes = [
        (word, names)
        for word, names in (
            ("new", [name for name in now if name not in before]),
            ("gone", [name for name in before if name not in now]),
            ("started by something else", [name for name in now if name in before and now[name] != before[name]]),
        )
        if names
    ]
    told = "".join(f"; {word}: {', '.join(names)}" for word, names in changes)
    return f"ready again, {_counted(now)}{told}"


def changed(files: Sequence[str]) -> str:
    """Which files it was."""
    here = os.getcwd() + os.sep
    named = [clean(file.removeprefix(here)) for file in files[:FILES_NAMED]]
    more = f" and {len(files) - FILES_NAMED} more" if len(files) > FILES_NAMED else ""
    return f"{', '.join(named)}{more} changed: a new worker takes over"


def paste_line(url: str, namespace: str, functions: Triggers, environment: Mapping[str, str]) -> str:
    """The command that sends an event which starts one of these functions; "" where nothing that can be sent does."""
    events = _sendable(functions)
    if not events:
        return ""
    # Without a condition if there is such a trigger: it is met by any data.
    words = ["durableq", "send", _event_name(min(events, key=_has_condition)), "--data", "{}"]
    return _pasted(words, url, namespace, environment)


def _sendable(functions: Triggers) -> list[str]:
    """The triggers that an event of anybody's meets: no cron expression, no system event."""
    unsendable = ("cron ", *RESERVED_PREFIXES)
    return [text for triggers in functions.values() for text in triggers if not text.startswith(unsendable)]


def look_line(url: str, namespace: str, environment: Mapping[str, str]) -> str:
    """The command that shows the runs."""
    return _pasted(["durableq", "runs", "list"], url, namespace, environment)


def _pasted(words: list[str], url: str, namespace: str, environment: Mapping[str, str]) -> str:
    if url_variable(environment):
        # A variable that names another Redis comes before what dev has written down.
        words += ["--redis-url", url]
    if namespace != "default":
        words += ["--namespace", namespace]
    return shlex.join(words)


def _has_condition(trigger: str) -> bool:
    return " if " in trigger


def _event_name(trigger: str) -> str:
    """An event name that meets this trigger, a name or a pattern, with or without a condition."""
    name = trigger.partition(" if ")[0]
    return f"{name[:-1]}example" if name.endswith("*") else name


def _counted(functions: Triggers) -> str:
    apps = sorted({function.partition("/")[0] for function in functions})
    count = f"{len(functions)} function{'s' * (len(functions) > 1)}"
    return f"{count} of {', '.join(apps)}"
