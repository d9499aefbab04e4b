"""The entry point: `durableq COMMAND`. Commands are loaded from a table by name, so that `--help` stays quick."""

from __future__ import annotations

import difflib
import importlib
from typing import Any, Final

import click
from click.shell_completion import CompletionItem

COMMANDS: Final = {
    "dev": ("durableq.cli.dev", "Server, worker and scheduler in one command, for development."),
    "worker": ("durableq.cli.worker", "Execute runs of one or more apps."),
    "scheduler": ("durableq.cli.scheduler", "Fire timers and rescue runs; any number may run."),
    "sync": ("durableq.cli.sync", "Make what the apps declare the newest deployment."),
    "check": ("durableq.cli.check", "Import the apps and tell everything that is wrong with them."),
    "send": ("durableq.cli.send", "Send an event."),
    "invoke": ("durableq.cli.invoke", "Start a run of a function, and print what it returns."),
    "signal": ("durableq.cli.signalling", "Give a signal to the run that waits for it."),
    "runs": ("durableq.cli.runs", "List and show runs; cancel, rerun or resume some."),
    "health": ("durableq.cli.health", "Look at a health file: for probes."),
    "functions": ("durableq.cli.functions", "List registered functions, show one."),
    "limits": ("durableq.cli.limits", "List the keys of limits by pressure."),
    "doctor": ("durableq.cli.doctor", "Check the Redis and the namespace, and say what to mend."),
    "completion": ("durableq.cli.completion", "Print the script for a shell's completion."),
}


class LazyGroup(click.Group):
    """A group whose commands are imported when they are called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = importlib.import_module(COMMANDS[cmd_name][0]).command
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        near = difflib.get_close_matches(args[0], COMMANDS, 1) if args[0] not in COMMANDS else []
        if near:
            ctx.fail(f"No such command {args[0]!r}. Did you mean {near[0]!r}?")
        return super().resolve_command(ctx, args)

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        # click's own asks each command for its help, which would import all of them at every press of the key.
        named = [
            CompletionItem(name, help=about) for name, (_, about) in COMMANDS.items() if name.startswith(incomplete)
        ]
        return named + click.Command.shell_complete(self, ctx, incomplete)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, about) for name, (_, about) in COMMANDS.items()])


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="durableq", prog_name="durableq")
def main(**_: Any) -> None:
    """Durable execution and worker queues for Python that need nothing but Redis."""
