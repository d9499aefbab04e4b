"""The one line of a stack that its reader wants to look at."""

from __future__ import annotations

import json

from durableq.model.stack import own_line, stack_of


def _caught(what: str) -> BaseException:
    try:
        json.loads(what)
    except ValueError as error:
        return error
    raise AssertionError(what)


def test_it_is_the_users_innermost_not_that_of_a_library() -> None:
    error = _caught("{")
    line = error.__traceback__.tb_lineno if error.__traceback__ else 0
    stack = stack_of(error)
    assert "json" in stack.splitlines()[-3]
    assert own_line(stack) == f"{__file__}:{line}"


def test_installed_packages_are_libraries_too_unless_there_is_nothing_else() -> None:
    installed = '  File "/venv/lib/python3.12/site-packages/a/b.py", line 3, in f\n    g()\n'
    assert own_line(f'  File "/shop/pay.py", line 7, in pay\n    f()\n{installed}ValueError: no') == "/shop/pay.py:7"
    assert own_line(f"{installed}ValueError: no") == "/venv/lib/python3.12/site-packages/a/b.py:3"


def test_what_caused_an_error_is_not_where_it_was_raised() -> None:
    stack = (
        '  File "/shop/a.py", line 1, in f\nValueError: no\n\ncaused by:\n  File "/shop/b.py", line 2, in g\nKeyError'
    )
    assert own_line(stack) == "/shop/a.py:1"


def test_without_frames_there_is_none() -> None:
    assert own_line("") == own_line("WorkerCrashed: killed by SIGKILL") == ""
