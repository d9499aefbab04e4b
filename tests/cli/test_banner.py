"""What `durableq dev` says to the person who started it."""

from __future__ import annotations

import os

import pytest

from durableq.cli.banner import changed, look_line, paste_line, reloaded, welcome

URL = "unix:///here/.durableq/redis.sock"


@pytest.mark.parametrize(
    ("triggers", "line"),
    [
        (["order/created"], "durableq send order/created --data '{}'"),
        (["a b"], "durableq send 'a b' --data '{}'"),
        (["order/*"], "durableq send order/example --data '{}'"),
        (["z if event.data.x", "order/paid"], "durableq send order/paid --data '{}'"),
        (["order/paid if event.data.x > 1"], "durableq send order/paid --data '{}'"),
        (["cron 0 9 * * * UTC", "order/paid"], "durableq send order/paid --data '{}'"),
        (["cron 0 9 * * * UTC"], ""),
    ],
)
def test_the_line_to_paste_names_an_event_that_is_listened_to(triggers: list[str], line: str) -> None:
    assert paste_line(URL, "default", {"shop/f": triggers}, {}) == line


def test_it_names_what_the_other_commands_would_not_find() -> None:
    functions = {"shop/f": ["a"]}
    assert paste_line(URL, "acme", functions, {}).endswith("--namespace acme")
    assert paste_line(URL, "default", functions, {"REDIS_URL": "redis://production"}).endswith(f"--redis-url {URL}")
    assert look_line(URL, "default", {}) == "durableq runs list"
    assert look_line(URL, "acme", {"REDIS_URL": "redis://production"}) == (
        f"durableq runs list --redis-url {URL} --namespace acme"
    )


def test_the_welcome_lists_functions_with_their_triggers() -> None:
    functions = {"shop/a": ["x", "y/* if event.data.n > 1"], "shop/report": ["cron 0 9 * * * UTC"]}
    text = welcome(functions, "durableq send x --data '{}'", "durableq runs list", True)
    assert "ready, 2 functions of shop; a change of the code starts a new worker" in text
    assert "    shop/a       x or y/* if event.data.n > 1\n    shop/report  cron 0 9 * * * UTC" in text
    assert "    durableq send x --data '{}'\n    durableq runs list" in text
    assert "must meet" not in text
    assert "must meet the condition" in welcome({"shop/a": ["x if event.data.n"]}, "durableq send x", "", True)
    assert "    shop/b    invoke" in welcome({"shop/b": []}, "", "durableq runs list", True)
    assert "the code is read once" in welcome(functions, "", "durableq runs list", False)


def test_a_system_event_starts_functions_and_is_nothing_to_send() -> None:
    failed = "durableq/function.failed if event.data.function_id == 'a'"
    functions = {
        "shop/a": ["x if event.data.n"],
        "shop/a:on-failure": [failed],
        "shop/b": ["durableq/function.finished"],
    }
    text = welcome(functions, "durableq send x --data '{}'", "", True)
    assert "    shop/a:on-failure  a failure of shop/a\n" in text
    assert "    shop/b             durableq/function.finished\n" in text
    assert "must meet the condition" in text
    assert paste_line(URL, "default", functions, {}) == "durableq send x --data '{}'"
    assert paste_line(URL, "default", {"shop/b": functions["shop/b"]}, {}) == ""


def test_a_reload_says_what_came_and_went() -> None:
    before, now = {"a/x": ["e"], "a/y": ["f"], "a/z": ["g"]}, {"a/x": ["e"], "a/y": ["other"], "b/new": ["e"]}
    assert reloaded(before, now) == (
        "ready again, 3 functions of a, b; new: b/new; gone: a/z; started by something else: a/y"
    )
    assert reloaded(now, now) == "ready again, 3 functions of a, b"


def test_the_files_that_changed_are_named_and_many_are_counted() -> None:
    files = [f"{os.getcwd()}/m{n}.py" for n in range(5)]
    assert changed(files[:1]) == "m0.py changed: a new worker takes over"
    assert changed(files) == "m0.py, m1.py, m2.py and 2 more changed: a new worker takes over"
