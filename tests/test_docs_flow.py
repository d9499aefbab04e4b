"""docs/flow-control.md has every pair of options, refused or declared as it says; and what docs/expressions.md says is so."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from itertools import combinations
from typing import Any

import pytest

import durableq as dq
from durableq.model.expressions import compile_expression
from durableq.model.expressions.function_table import FUNCTIONS, MACROS
from durableq.model.expressions.keys import key_text
from tests.durableq_command import REPOSITORY

PAGE = (REPOSITORY / "docs" / "flow-control.md").read_text()
COMBINATIONS = PAGE.partition("\n## Combinations\n")[2].partition("\n## ")[0]

OPTIONS: dict[str, dict[str, Any]] = {
    "concurrency": {"concurrency": dq.Concurrency(2, key="event.name")},
    'hold="run"': {"concurrency": dq.Concurrency(3, hold="run")},
    "throttle": {"throttle": dq.Throttle(10, period="1m")},
    "rate_limit": {"rate_limit": dq.RateLimit(10, period="1m")},
    "idempotency": {"idempotency": "event.id"},
    "debounce": {"debounce": dq.Debounce("5s")},
    "batch": {"batch": dq.Batch(10, timeout="5s")},
    "priority": {"priority": "event.data.paid ? 60 : 0"},
    "singleton": {"singleton": "skip"},
}
BESIDES: dict[str, dict[str, Any]] = {
    "`cancel_on`": {"cancel_on": dq.CancelOn("order/cancelled")},
    "`timeouts`": {"timeouts": dq.Timeouts(start="1h", finish="1d")},
    "only cron triggers": {"triggers": [dq.CronTrigger("0 9 * * *")]},
    "invoked": {"triggers": []},
    "a future `ts`": {},
    "a pause": {},
}
TRIGGERS = [dq.EventTrigger("order/created")]


def _rows(cells: int) -> Iterator[list[str]]:
    for line in COMBINATIONS.splitlines():
        row = [cell.strip() for cell in line.split("|")[1:-1]]
        if len(row) == cells and set(row[0]) != {"-"}:
            yield row


PAIRS = {(row[0].strip("`"), row[1].strip("`")): row[2:] for row in _rows(4) if row[0] != "this"}
HEADS, *MATRIX = _rows(7)


def _declared(*parts: dict[str, Any]) -> None:
    given: dict[str, Any] = {"triggers": TRIGGERS}
    for part in parts:
        for name, value in part.items():
            given[name] = [given[name], value] if name == "concurrency" and name in given else value

    @dq.App("docs").function("f", **given)
    async def f(ctx: dq.Context) -> None: ...


def test_every_pair_has_its_row() -> None:
    assert set(map(frozenset, PAIRS)) == set(map(frozenset, combinations(OPTIONS, 2)))
    assert len(PAIRS) == 36


@pytest.mark.parametrize(("this", "other"), PAIRS, ids=[" with ".join(pair) for pair in PAIRS])
def test_a_pair_is_declared_or_refused_as_the_table_says(this: str, other: str) -> None:
    verdict, why = PAIRS[this, other]
    assert why
    if verdict == "works":
        _declared(OPTIONS[this], OPTIONS[other])
        return
    assert verdict == "refused"
    with pytest.raises(dq.ConfigError, match=rf"\b{this}\b.*\b{other}\b|\b{other}\b.*\b{this}\b"):
        _declared(OPTIONS[this], OPTIONS[other])


def test_the_second_table_has_every_option_and_all_that_is_beside_them() -> None:
    assert [row[0].strip("`") for row in MATRIX] == list(OPTIONS)
    assert HEADS[1:] == list(BESIDES)
    assert all(all(row) for row in MATRIX)


@pytest.mark.parametrize("beside", BESIDES)
@pytest.mark.parametrize("option", OPTIONS)
def test_an_option_is_declared_or_refused_beside_what_is_no_flow_control(option: str, beside: str) -> None:
    (row,) = [row for row in MATRIX if row[0].strip("`") == option]
    if row[HEADS.index(beside)].startswith("refused"):
        with pytest.raises(dq.ConfigError, match=rf"\b{option}\b"):
            _declared(OPTIONS[option], BESIDES[beside])
    else:
        _declared(OPTIONS[option], BESIDES[beside])


def test_a_key_that_comes_to_nothing_for_every_tick_is_refused() -> None:
    with pytest.raises(dq.ConfigError, match="comes to nothing for every tick"):
        _declared({"idempotency": "event.data.user_id"}, BESIDES["only cron triggers"])


def test_what_it_says_of_all_options_together_is_declared() -> None:
    _declared(*(OPTIONS[name] for name in OPTIONS if name != "batch"), BESIDES["`cancel_on`"], BESIDES["`timeouts`"])


def _bounds() -> dict[str, str]:
    table = PAGE.partition("\n## Bounds\n")[2].partition("\n## ")[0]
    return dict(re.findall(r"^\| `(\w+)` \| (.*?) \|$", table, re.M))


BEYOND: dict[str, list[Any]] = {
    "Concurrency": [
        lambda: dq.Concurrency(0),
        lambda: dq.Concurrency(1, scope="app"),
        lambda: dq.Concurrency(1, scope="namespace"),
        lambda: _declared({"concurrency": [dq.Concurrency(n, key=f"event.data.{n * 'x'}") for n in (1, 2, 3)]}),
        lambda: _declared({"concurrency": [1, 2]}),
    ],
    "Throttle": [
        lambda: dq.Throttle(0, period="1m"),
        lambda: dq.Throttle(1, period="999ms"),
        lambda: dq.Throttle(1, period="169h"),
        lambda: dq.Throttle(1, period="1m", burst=0),
    ],
    "RateLimit": [
        lambda: dq.RateLimit(0, period="1m"),
        lambda: dq.RateLimit(10_001, period="1m"),
        lambda: dq.RateLimit(1, period="999ms"),
        lambda: dq.RateLimit(1, period="25h"),
    ],
    "idempotency": [lambda: _declared({"idempotency": "'constant'"})],
    "Debounce": [
        lambda: dq.Debounce("999ms"),
        lambda: dq.Debounce("169h"),
        lambda: dq.Debounce("10s", timeout="9s"),
    ],
    "Batch": [
        lambda: dq.Batch(1, timeout="5s"),
        lambda: dq.Batch(10_001, timeout="5s"),
        lambda: dq.Batch(10, timeout="999ms"),
        lambda: dq.Batch(10, timeout="169h"),
    ],
    "priority": [lambda: _declared({"priority": "120"})],
}
WITHIN: list[Any] = [
    lambda: dq.Throttle(1, period="1s"),
    lambda: dq.Throttle(1, period="7d"),
    lambda: dq.RateLimit(10_000, period="1s"),
    lambda: dq.RateLimit(1, period="24h"),
    lambda: dq.Debounce("1s", timeout="1s"),
    lambda: dq.Debounce("7d"),
    lambda: dq.Batch(2, timeout="1s"),
    lambda: dq.Batch(10_000, timeout="7d"),
    lambda: _declared({"concurrency": [1, dq.Concurrency(2, hold="run")]}),
]


def test_every_bound_is_tried() -> None:
    assert set(BEYOND) == set(_bounds())


TOO_MUCH = [pytest.param(make, id=f"{option}-{n}") for option, made in BEYOND.items() for n, make in enumerate(made)]


@pytest.mark.parametrize("make", TOO_MUCH)
def test_what_is_beyond_its_bounds_is_refused(make: Callable[[], object]) -> None:
    with pytest.raises(dq.ConfigError):
        make()


@pytest.mark.parametrize("make", WITHIN)
def test_what_is_within_its_bounds_is_not(make: Callable[[], object]) -> None:
    make()


# ---- expressions.md

EXPRESSIONS = (REPOSITORY / "docs" / "expressions.md").read_text()
DATA = {"n": 42, "f": 42.0, "yes": True, "text": "tea", "user": 7, "list": [1, "x"]}
COMES_TO = re.findall(r"^\| `(.*)` \| (yes|no) \| (?:`(.*)` )?\|$", EXPRESSIONS, re.M)


@pytest.mark.parametrize(("written", "truth", "key"), COMES_TO, ids=[row[0] for row in COMES_TO])
def test_an_expression_comes_to_what_the_page_says(written: str, truth: str, key: str) -> None:
    scope = {"event": {"name": "a/b", "data": DATA, "id": "i", "ts": 1, "user": None, "v": None}}
    expression = compile_expression(written)
    assert expression.evaluate(scope).truth == (truth == "yes")
    assert (key_text(expression.value(scope)) or "") == key


def test_every_function_of_expressions_is_on_its_page() -> None:
    says = EXPRESSIONS.partition("\n## What they say\n")[2].partition("\n## ")[0]
    listed = set(re.findall(r"`(?:\w+\.)?(\w+)\(", says))
    assert listed - {"has"} == {*FUNCTIONS, *MACROS}
