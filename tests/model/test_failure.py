"""Errors as they are recorded."""

from __future__ import annotations

import asyncio
import concurrent.futures
import traceback
from typing import Any

import pytest
from hypothesis import strategies as st

from durableq.model.failure import MESSAGE_MAX, Failure
from durableq.model.stack import STACK_MAX, cut, leaves
from durableq.words.codec import encode
from durableq.words.errors import CodecError, DurableqError, RunCancelled, SignalTaken, StepError
from tests.fuzz import fuzz, prompt


class PaymentDeclined(ValueError):
    pass


class Mute(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no")


def caught(function: Any) -> BaseException:
    try:
        function()
    except BaseException as error:
        return error
    raise AssertionError("nothing was raised")


def decline() -> None:
    raise PaymentDeclined("no funds")


def test_class_message_and_bases_are_recorded() -> None:
    failure = Failure.of(caught(decline))
    assert (failure.name, failure.message) == ("PaymentDeclined", "no funds")
    error = failure.to_step_error("charge")
    assert error.step == "charge"
    assert str(error) == "PaymentDeclined: no funds"
    for kind in (PaymentDeclined, ValueError, Exception, BaseException, "PaymentDeclined"):
        assert error.matches(kind)
    assert not error.matches(KeyError)


def test_stack_ends_at_the_line_that_raised() -> None:
    lines = Failure.of(caught(decline)).stack.splitlines()
    assert lines[-3].endswith("in decline")
    assert lines[-2:] == ['    raise PaymentDeclined("no funds")', "PaymentDeclined: no funds"]


def test_frames_of_durableq_and_asyncio_are_left_out() -> None:
    async def body() -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(asyncio.to_thread(encode, object()))

    error = caught(lambda: asyncio.run(body()))
    full = "".join(traceback.format_exception(error))
    assert "durableq/words/codec" in full
    assert "asyncio/" in full
    assert "concurrent/futures" in full
    stack = Failure.of(error).stack
    assert "in test_frames_of_durableq_and_asyncio_are_left_out.<locals>.body" in stack
    for folder in ("durableq/words", "asyncio/", "concurrent/futures"):
        assert folder not in stack


def test_frames_of_a_thread_pool_are_left_out() -> None:
    with concurrent.futures.ThreadPoolExecutor() as pool:
        stack = Failure.of(caught(pool.submit(decline).result)).stack
    assert stack.count("File") == 2
    assert "in decline" in stack


def test_causes_are_shown_in_short() -> None:
    def explicit() -> None:
        try:
            {}["x"]  # type: ignore[var-annotated]
        except KeyError as error:
            raise PaymentDeclined("no card") from error

    stack = Failure.of(caught(explicit)).stack
    assert "PaymentDeclined: no card\n\ncaused by:\n" in stack
    assert stack.endswith("KeyError: 'x'")


def test_error_while_handling_another_shows_it() -> None:
    def during() -> None:
        try:
            decline()
        except PaymentDeclined:
            {}["x"]  # type: ignore[var-annotated]

    def hidden() -> None:
        try:
            decline()
        except PaymentDeclined:
            raise KeyError("y") from None

    assert "while handling:" in Failure.of(caught(during)).stack
    assert "PaymentDeclined" not in Failure.of(caught(hidden)).stack


def test_causes_that_go_round_end() -> None:
    first, second = ValueError("a"), ValueError("b")
    first.__cause__, second.__cause__ = second, first
    assert Failure.of(first).stack == "ValueError: a\n\ncaused by:\nValueError: b"


def test_long_chain_of_causes_is_cut() -> None:
    error = ValueError("0")
    for number in range(1, 1000):
        outer = ValueError(str(number))
        outer.__cause__ = error
        error = outer
    with prompt():
        assert Failure.of(error).stack.count("caused by:") == 5


def test_notes_are_kept() -> None:
    error = ValueError("x")
    error.add_note("order 7")
    assert Failure.of(error).stack == "ValueError: x\norder 7"


def test_runaway_recursion_shows_both_ends() -> None:
    def again(depth: int) -> None:
        again(depth + 1)

    with prompt():
        stack = Failure.of(caught(lambda: again(0))).stack
    assert "frames left out …" in stack
    assert stack.count("\n") < 100
    assert stack.splitlines()[-1].startswith("RecursionError")


def test_group_shows_its_leaves() -> None:
    def fail() -> None:
        raise ExceptionGroup("two went wrong", [caught(decline), ExceptionGroup("more", [KeyError("x")])])  # type: ignore[list-item]

    failure = Failure.of(caught(fail))
    assert failure.name == "ExceptionGroup"
    assert failure.message == "two went wrong (2 sub-exceptions): PaymentDeclined: no funds; KeyError: 'x'"
    assert failure.stack.count("in the group:") == 2
    assert "in decline" in failure.stack


def test_large_group_is_cut() -> None:
    group = ExceptionGroup("many", [ExceptionGroup("few", [ValueError("x" * 10_000)] * 100)] * 100)
    with prompt():
        failure = Failure.of(group)
    assert len(failure.message.encode()) <= MESSAGE_MAX
    assert len(failure.stack.encode()) <= STACK_MAX


def test_leaves_are_in_order() -> None:
    one, two, three = ValueError(1), ValueError(2), ValueError(3)
    assert leaves(ExceptionGroup("", [ExceptionGroup("", [one, two]), three])) == [one, two, three]
    assert leaves(one) == [one]


def test_error_that_has_no_text_is_recorded() -> None:
    failure = Failure.of(caught(lambda: (_ for _ in ()).throw(Mute())))
    assert failure.message == "<Mute whose text cannot be had: RuntimeError>"


def test_lone_surrogates_become_escapes() -> None:
    failure = Failure.of(ValueError("half \ud83d"))
    assert failure.message == "half \\ud83d"
    assert Failure.decode(failure.encode()) == failure


def test_long_message_is_cut_and_says_so() -> None:
    failure = Failure.of(ValueError("ü" * 100_000))
    assert len(failure.message.encode()) <= MESSAGE_MAX
    assert failure.message.endswith("… (100,000 characters)")


def test_source_that_cannot_be_had_is_left_out() -> None:
    class Loader:
        def get_source(self, name: str) -> str:
            raise RuntimeError("no")

    names: dict[str, Any] = {"__loader__": Loader(), "__name__": "made"}
    exec(compile("def f():\n  raise ValueError('x')", "<made>", "exec"), names)
    assert Failure.of(caught(names["f"])).stack.endswith('File "<made>", line 2, in f\nValueError: x')


def test_step_error_that_travels_on_keeps_its_record() -> None:
    failure = Failure.of(caught(decline))

    def catch_and_raise() -> None:
        raise failure.to_step_error("charge")

    assert Failure.of(caught(catch_and_raise)) == failure


def test_exit_of_a_process_is_recorded_too() -> None:
    assert Failure.of(SystemExit(3)).classes == ("SystemExit", "BaseException")


@pytest.mark.parametrize("damaged", [{}, {"name": 1}, [], None, {"name": "", "message": "", "stack": ""}])
def test_damaged_record_is_a_codec_error(damaged: Any) -> None:
    with pytest.raises(CodecError, match="stored failure is damaged"):
        Failure.decode(encode(damaged))


@fuzz(st.text(st.characters(), max_size=300), st.integers(40, 200))
def test_any_text_is_cut_to_its_bytes(text: str, limit: int) -> None:
    with prompt():
        kept = cut(text, limit)
    assert len(kept.encode()) <= limit
    if len(text) * 6 <= limit:
        assert kept == text.encode("utf-8", "backslashreplace").decode()


@fuzz(
    st.recursive(
        st.builds(ValueError, st.text(st.characters(), max_size=20) | st.binary() | st.none())
        | st.builds(Mute)
        | st.builds(StepError, st.text(max_size=5), st.text(max_size=5), classes=st.lists(st.text(), max_size=50)),
        lambda inner: st.builds(ExceptionGroup, st.text(max_size=5), st.lists(inner, min_size=1, max_size=4)),
        max_leaves=8,
    )
)
def test_any_error_is_recorded_and_read_again(error: Exception) -> None:
    with prompt():
        failure = Failure.of(error)
        assert Failure.decode(failure.encode()) == failure
        assert Failure.of(failure.to_step_error("s")) == failure


def test_error_whose_text_exits_is_recorded() -> None:
    class Exiting(Exception):
        def __str__(self) -> str:
            raise SystemExit(3)

    assert Failure.of(Exiting()).message == "<Exiting whose text cannot be had: SystemExit>"


def test_what_a_script_writes_is_one_of_our_errors_with_its_bases() -> None:
    failure = Failure.decode(b"TSignalTaken\nrun X waits\nfor it")
    assert (failure.name, failure.message, failure.stack) == ("SignalTaken", "run X waits\nfor it", "")
    error = failure.to_step_error("s")
    assert error.matches(SignalTaken)
    assert error.matches(DurableqError)
    assert not error.matches(RunCancelled)
    assert Failure.decode(b"TRunCancelled\n").to_step_error("s").matches(RunCancelled)


@pytest.mark.parametrize("name", ["OfALaterRelease", "datetime", "Any", "annotations", "Sequence", ""])
def test_a_name_that_is_no_error_of_ours_is_kept_as_it_is(name: str) -> None:
    failure = Failure.decode(b"T" + name.encode() + b"\nwhy")
    assert (failure.name, failure.message, failure.classes) == (name, "why", (name,))


def test_text_of_a_script_that_is_damaged_or_long_is_read_all_the_same() -> None:
    failure = Failure.decode(b"TRunCancelled\n\xff" + b"x" * (2 * MESSAGE_MAX))
    assert failure.name == "RunCancelled"
    assert len(failure.message) <= MESSAGE_MAX


# ---- the steps that it came from


def of_step(key: str) -> StepError:
    return Failure("ValueError", "no", "", ("ValueError",)).to_step_error("charge", key)


def raised_from(error: BaseException, cause: BaseException | None) -> BaseException:
    try:
        raise error from cause
    except BaseException as raised:
        return raised


@pytest.mark.parametrize(
    ("error", "keys"),
    [
        (of_step("a"), ("a",)),
        (ValueError("x"), ()),
        (raised_from(ValueError("x"), of_step("a")), ("a",)),
        (raised_from(ValueError("x"), raised_from(KeyError("y"), of_step("a"))), ("a",)),
        (raised_from(of_step("b"), of_step("a")), ("b",)),
        (ExceptionGroup("both", [of_step("a"), ValueError("x"), ExceptionGroup("more", [of_step("b")])]), ("a", "b")),
        (ExceptionGroup("twice", [of_step("a"), of_step("a")]), ("a",)),
        (StepError("ValueError", "made by hand"), ()),
    ],
    ids=repr,
)
def test_a_failure_names_the_steps_whose_errors_it_is(error: BaseException, keys: tuple[str, ...]) -> None:
    failure = Failure.of(error)
    assert failure.steps == keys
    assert Failure.decode(failure.encode()).steps == keys
    assert "steps" not in failure.to_map(), "that is said to nobody else"


def test_an_error_that_was_caught_while_another_came_is_not_among_them() -> None:
    def compensates() -> None:
        try:
            raise of_step("caught")
        except StepError:
            raise of_step("refund")

    with pytest.raises(StepError) as raised:
        compensates()
    assert Failure.of(raised.value).steps == ("refund",)


def test_a_failure_of_a_release_that_named_no_steps_is_read() -> None:
    stored = {"name": "ValueError", "message": "no", "stack": "", "classes": ["ValueError"]}
    assert Failure.from_map(stored).steps == ()
    assert Failure.from_map({**stored, "steps": 7}).steps == ()


def test_causes_that_go_round_in_a_circle_end() -> None:
    first, second = ValueError("a"), KeyError("b")
    first.__cause__, second.__cause__ = second, first
    assert Failure.of(first).steps == ()
