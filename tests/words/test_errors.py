"""The errors that carry more than a message."""

from __future__ import annotations

import inspect

import pytest

from durableq.words import errors
from durableq.words.errors import CodecError, ExpressionError, QueueFull, SendError, StepError, class_path


class Declined(ValueError):
    pass


def test_step_error_matches_recorded_classes_and_their_bases() -> None:
    error = StepError("Declined", "no", classes=[class_path(Declined), "ValueError", "Exception"])
    assert error.matches(Declined)
    assert error.matches(ValueError)
    assert error.matches("Declined")
    assert error.matches(class_path(Declined))
    assert not error.matches(KeyError)
    assert not error.matches("Error")


def test_step_error_without_classes_matches_its_name() -> None:
    assert StepError("ValueError", "").matches(ValueError)
    assert str(StepError("ValueError", "")) == "ValueError"
    assert str(StepError("ValueError", "no")) == "ValueError: no"


def test_expression_error_points_at_the_character() -> None:
    error = ExpressionError("unexpected ']'", "event.data.x == 1\n&& event.data[ ]", 33)
    assert str(error).splitlines()[1:] == ["  && event.data[ ]", "                 ^"]


def test_send_error_counts_each_fate() -> None:
    error = SendError("the connection broke", ["a"], ["b", "c"], [])
    assert str(error) == "the connection broke (1 stored, 2 not stored, 0 may have been stored)"


def test_queue_full_says_when_to_try_again() -> None:
    assert "Try again in 1.5 s" in str(QueueFull(1.5))


def test_codec_error_is_a_type_error_with_a_path() -> None:
    assert CodecError("x", ".a").path == ".a"
    assert issubclass(CodecError, TypeError)


@pytest.mark.parametrize(
    "error", [found for _, found in inspect.getmembers(errors, inspect.isclass) if found.__module__ == errors.__name__]
)
def test_every_error_says_when_it_is_raised(error: type[Exception]) -> None:
    assert issubclass(error, errors.DurableqError)
    assert error.__doc__
