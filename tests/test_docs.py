"""Pages that say what the code does are compared with the code."""

from __future__ import annotations

import ast
import re
import sys
import types
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

import durableq as dq
from durableq.cli.main import main
from durableq.model.filing import ANYHOW, file_under
from durableq.store.keys import KEYS
from durableq.testing import TestEnv
from tests.durableq_command import REPOSITORY

DOCS = REPOSITORY / "docs"
LEVELS = {"debug", "info", "warning", "error", "exception"}
OF_REPORTS = {"_warn", "_once"}


def _rows(page: str) -> list[list[str]]:
    """The cells of every table row of a page."""
    lines = [line for line in (DOCS / page).read_text().splitlines() if line.startswith("| ")]
    return [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in lines]


def _code(cell: str) -> list[str]:
    return re.findall(r"`([^`]+)`", cell)


# ---- the log's names


def _logged() -> Iterator[str]:
    for path in sorted((REPOSITORY / "durableq").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.args:
                first = node.args[0]
                if _logs(node.func, path) and isinstance(first, ast.Constant) and isinstance(first.value, str):
                    yield first.value


def _logs(called: ast.Attribute, path: Path) -> bool:
    on = called.value.attr if isinstance(called.value, ast.Attribute) else getattr(called.value, "id", "")
    return (called.attr in LEVELS and on in ("log", "_log")) or (
        called.attr in OF_REPORTS and path.name == "reports.py" and on == "self"
    )


def test_the_table_of_log_lines_is_what_the_code_writes() -> None:
    listed = [name for row in _rows("inside.md") for name in _code(row[0])]
    assert sorted(listed) == sorted(set(_logged()))


# ---- keys


def test_every_key_has_its_row_with_its_type() -> None:
    rows = {_code(row[0])[0]: row for row in _rows("keys.md") if len(row) == 4 and _code(row[0])}
    types = {"zset": "sorted set"}
    for key in KEYS:
        assert key.name in rows, f"docs/keys.md lacks a row of {key.name}"
        _, shape, kind, lifetime = rows[key.name]
        assert shape.startswith(f"`{key.suffix}"), f"{key.name}: {shape}"
        assert kind == types.get(key.redis_type, key.redis_type)
        assert lifetime
    assert set(rows) == {key.name for key in KEYS}


def test_the_fields_of_a_run_are_those_of_the_records() -> None:
    records = (REPOSITORY / "durableq" / "store" / "records.py").read_text()
    written = dict(re.findall(r"^    ([a-z])  .*?(?:  +([a-z_, ]+))?$", records.split('"""')[1], re.M))
    listed = {_code(row[0])[0] for row in _rows("keys.md") if len(row) == 3 and _code(row[0])}
    assert listed == set(written)


# ---- configuration


def _options() -> Iterator[tuple[str, click.Option]]:
    context = click.Context(main)
    for name in main.list_commands(context):
        command = main.get_command(context, name)
        members = [("", command), *(command.commands.items() if isinstance(command, click.Group) else ())]
        for member, found in members:
            assert found is not None
            for parameter in found.params:
                if isinstance(parameter, click.Option):
                    yield f"{name} {member}".strip(), parameter


def test_every_flag_is_listed_with_its_commands_and_its_variable() -> None:
    listed = {_code(row[0])[0]: row for row in _rows("configuration.md") if _code(row[0]) and len(row) == 5}
    wanted: dict[str, set[str]] = {}
    for command, option in _options():
        flag = option.opts[0]
        wanted.setdefault(flag, set()).add(command)
        assert flag in listed, f"docs/configuration.md lacks {flag} of {command}"
        if isinstance(option.envvar, str):
            assert option.envvar in _code(listed[flag][2]), f"docs/configuration.md lacks {option.envvar} of {flag}"
        if option.show_default:
            assert str(option.default) in _code(listed[flag][3]), f"{flag} of {command}"
    assert {flag: set(_code(row[1])) for flag, row in listed.items()} == wanted


# ---- decisions


@pytest.mark.parametrize("page", sorted((DOCS / "decisions").glob("*.md")), ids=lambda page: page.name)
def test_a_decision_has_a_number_a_reason_and_what_was_rejected(page: Path) -> None:
    text = page.read_text()
    assert text.startswith(f"# {page.name[:3]}: ")
    for word in ("**Decision.**", "**Why.**", "**Rejected.**"):
        assert word in text


# ---- Python and links in the pages (of README and testing.md: test_readme.py, testing/test_docs.py)

PAGES = sorted([*DOCS.glob("*.md"), *DOCS.glob("decisions/*.md")])
WITH_PYTHON = [page for page in PAGES if page.name != "testing.md" and "```python" in page.read_text()]


@pytest.mark.parametrize("page", WITH_PYTHON, ids=lambda page: page.name)
def test_the_python_in_a_page_is_executed(page: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    code = "\n\n".join(re.findall(r"^```python\n(.*?)^```$", page.read_text(), re.M | re.S))
    assert code.count("\n") > 1
    module = types.ModuleType("page")
    monkeypatch.setitem(sys.modules, "page", module)  # where dataclasses look up their annotations
    exec(compile(code, str(page), "exec", dont_inherit=True), module.__dict__)
    tests = [value for name, value in vars(module).items() if name.startswith("test_")]
    for test in tests:  # a page may bring tests of its own, of what needs more than its events
        test()
    if tests:
        return
    for app in (value for value in vars(module).values() if isinstance(value, dq.App)):
        assert app.functions
        with TestEnv(app) as env:
            for function in app.functions.values():
                for trigger in function.triggers:
                    if isinstance(trigger, dq.EventTrigger):
                        env.send(trigger.event)
            env.advance("8d")
            assert {run.function for run in env.runs} == {function.full_id for function in app.functions.values()}
            assert {run.status for run in env.runs} == {"completed"}


def anchors(page: Path) -> set[str]:
    """What headings of this page are linked by, as GitHub makes them."""
    headings = re.findall(r"^#+ (.*)$", page.read_text(), re.M)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", [*PAGES, REPOSITORY / "README.md"], ids=lambda page: page.name)
def test_what_a_page_links_to_is_there(page: Path) -> None:
    for target, anchor in re.findall(r"\]\(([^)#]*)(?:#([^)]*))?\)", page.read_text()):
        if not target.startswith("https://"):
            assert (page.parent / target).exists(), target
            assert not anchor or anchor in anchors(page.parent / target if target else page), f"{target}#{anchor}"


def test_the_index_lists_every_page() -> None:
    listed = set(re.findall(r"\]\((\S+?)\)", (DOCS / "README.md").read_text()))
    pages = {page.name for page in DOCS.glob("*.md") if not page.name.startswith("status-")}  # those are a branch's own
    assert pages - {"README.md"} - listed == set()


# ---- errors


def test_every_error_is_listed_with_when_and_what_to_do() -> None:
    listed = {name: row for row in _rows("failures.md") if len(row) == 3 for name in _code(row[0])}
    errors = {
        name for name in dq.__all__ if isinstance(found := getattr(dq, name), type) and issubclass(found, Exception)
    }
    raised_by_users = {"DurableqError", "NonRetriableError", "RetryAfterError"}
    assert sorted(errors - set(listed) - raised_by_users) == []
    assert [name for name in errors & set(listed) if not listed[name][1]] == []


# ---- conditions


@pytest.mark.parametrize("row", [row for row in _rows("waits.md") if row[-1] in ("index", "each is evaluated")])
def test_a_condition_is_found_as_the_page_says(row: list[str]) -> None:
    (written,) = _code(row[0])
    filing = file_under("a/b", written.replace("\\|", "|"), {"data": {"order_id": 1}, "user": {"id": 2}})
    assert (filing.path != ANYHOW) == (row[1] == "index")
