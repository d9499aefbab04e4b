"""--only and --except: globs over short and full ids."""

from __future__ import annotations

import pytest
from click.testing import CliRunner

from durableq.cli.main import main
from durableq.cli.selecting import selected
from durableq.words.errors import ConfigError

KNOWN = ["shop/pay", "shop/pay.later", "mail/send", "mail/pay"]


@pytest.mark.parametrize(
    ("only", "exclude", "left"),
    [
        ([], [], ["mail/pay", "mail/send", "shop/pay", "shop/pay.later"]),
        (["pay"], [], ["mail/pay", "shop/pay"]),
        (["shop/*"], [], ["shop/pay", "shop/pay.later"]),
        (["pay*", "send"], ["mail/*"], ["shop/pay", "shop/pay.later"]),
        ([], ["*.later", "send"], ["mail/pay", "shop/pay"]),
        (["p[a-c]y"], [], ["mail/pay", "shop/pay"]),
    ],
)
def test_functions_are_chosen_by_short_or_full_id(only: list[str], exclude: list[str], left: list[str]) -> None:
    assert selected(KNOWN, only, exclude) == left


def test_what_is_executed_on_failure_goes_where_its_function_goes() -> None:
    known = ["shop/pay", "shop/pay:on-failure", "shop/send", "shop/send:on-failure"]
    assert selected(known, ["pay"], []) == known[:2]
    assert selected(known, [], ["shop/pay"]) == known[2:]
    with pytest.raises(ConfigError, match=r"matches no function; there are shop/pay, shop/send$"):
        selected(known, ["*:on-failure"], [])


@pytest.mark.parametrize(
    ("only", "exclude", "rule"),
    [
        (["pya"], [], "--only 'pya' matches no function; there are mail/pay, mail/send, shop/pay, shop/pay.later"),
        ([], ["PAY"], "--except 'PAY' matches no function"),
        (["pay", "shop"], [], "--only 'shop' matches no function"),
        (["pay"], ["*pay"], "--only and --except leave no function; there are mail/pay"),
    ],
)
def test_a_choice_that_cannot_be_meant_is_refused(only: list[str], exclude: list[str], rule: str) -> None:
    with pytest.raises(ConfigError) as refused:
        selected(KNOWN, only, exclude)
    assert rule in str(refused.value)


def test_an_empty_glob_is_refused() -> None:
    done = CliRunner().invoke(main, ["worker", "a", "--only", " "])
    assert done.exit_code == 2
    assert "'--only' (env var: 'DURABLEQ_ONLY'): is empty: leave it out, or name functions" in done.stderr
