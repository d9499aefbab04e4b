"""Every flag has a variable that `--help` shows and that works."""

from __future__ import annotations

import re
from collections.abc import Iterator

import click
import pytest
from click.core import ParameterSource
from click.testing import CliRunner

from durableq.cli.main import main

VALUES = {
    "--grace": "7s",
    "--stuck-after": "7m",
    "--wait": "7s",
    "--max-age": "7s",
    "--log-level": "error",
    "--log-format": "json",
    "--status": "failed",
    "--only": "a b",
    "--except": "a,b",
}
"""Texts for flags that do not take any text, number or switch."""


def _parent() -> click.Context:
    # A command remembers its flags for help from the first context that it meets: it must be one as on a command line.
    return click.Context(main, **main.context_settings)


def _flags() -> Iterator[tuple[str, click.Command, click.Option]]:
    context = click.Context(main)
    for name in main.list_commands(context):
        command = main.get_command(context, name)
        assert command is not None
        members = command.commands.items() if isinstance(command, click.Group) else [("", command)]
        for member, found in members:
            for parameter in found.params:
                if isinstance(parameter, click.Option):
                    yield f"{name} {member}".strip(), found, parameter


FLAGS = list(_flags())
# Its variables are four, and other programs' too: places.py reads them, and tests/cli/test_places.py tries each.
OF_REDIS = [(name, option) for name, _, option in FLAGS if option.opts == ["--redis-url"] and name != "dev"]
OTHERS = [each for each in FLAGS if (each[0], each[2]) not in OF_REDIS]


def _ids(value: object) -> str:
    return value.opts[0] if isinstance(value, click.Option) else value if isinstance(value, str) else ""


@pytest.mark.parametrize(("name", "command", "option"), OTHERS, ids=_ids)
def test_a_flag_can_be_given_by_its_variable(
    name: str, command: click.Command, option: click.Option, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert isinstance(option.envvar, str)
    assert option.envvar.startswith("DURABLEQ_")
    arguments = ["x"] * sum(isinstance(each, click.Argument) and each.required for each in command.params)
    monkeypatch.delenv(option.envvar, raising=False)
    without = command.make_context(name, list(arguments), parent=_parent())
    switch = "false" if option.default is True else "true"
    monkeypatch.setenv(option.envvar, switch if option.is_flag else VALUES.get(option.opts[0], "7"))
    given = command.make_context(name, list(arguments), parent=_parent())
    assert option.name is not None
    assert given.get_parameter_source(option.name) is ParameterSource.ENVIRONMENT
    assert given.params[option.name] != without.params[option.name]


@pytest.mark.parametrize(("name", "command", "option"), OTHERS, ids=_ids)
def test_help_shows_the_variable_of_a_flag(name: str, command: click.Command, option: click.Option) -> None:
    shown = " ".join(CliRunner().invoke(main, [*name.split(), "--help"]).stdout.partition("Options:")[2].split())
    (found,) = re.findall(rf"(?:^|\] ){option.opts[0]}\b.*?\[env var: (\w+)", shown)
    assert found == option.envvar


@pytest.mark.parametrize(("name", "option"), OF_REDIS, ids=_ids)
def test_help_shows_the_variables_that_name_the_redis(name: str, option: click.Option) -> None:
    assert "[DURABLEQ_URL, REDIS_TLS_URL, REDIS_URL, VALKEY_URL" in (option.help or "")


def test_one_variable_is_one_flag() -> None:
    flags: dict[str, set[str]] = {}
    for _, _, option in OTHERS:
        flags.setdefault(str(option.envvar), set()).add(option.opts[0])
    assert {variable: found for variable, found in flags.items() if len(found) > 1} == {}
