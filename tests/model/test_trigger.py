"""Triggers: which names and patterns are allowed, and which events they meet."""

import pytest

from durableq import ConfigError, EventTrigger, ExpressionError
from durableq.model.trigger import patterns_of


@pytest.mark.parametrize("name", ["order/created", "a", "app/*", "app/user.*", "a b/c", "ünïcode/é", "x" * 256])
def test_allowed_names_are_kept(name: str) -> None:
    assert EventTrigger(name).event == name


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("", "1 to 256"),
        (" a", "no space at its ends"),
        ("a ", "no space at its ends"),
        ("x" * 257, "1 to 256"),
        ("*", "wildcard"),
        ("/*", "wildcard"),
        ("app/*/x", "wildcard"),
        ("app/us*", "wildcard"),
        ("a/*.*", "wildcard"),
        ("a\nb", "printable"),
        (7, "must be a string"),
        ("durableq/function.ended", "there are durableq/function.finished, .*, durableq/cron.tick"),
        ("inngest/scheduled.cron", "no such system event"),
        ("inngest/function.*", "no such system event"),
        ("durableq/*", "no such system event"),
    ],
)
def test_refused_names_say_the_rule_and_the_value(name: object, says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        EventTrigger(name)  # type: ignore[arg-type]


def test_a_condition_is_compiled_when_declared() -> None:
    with pytest.raises(ExpressionError) as caught:
        EventTrigger("a/b", if_="event.data.x >")
    assert "\n" in str(caught.value)
    with pytest.raises(ConfigError, match="if_"):
        EventTrigger("a/b", if_=True)  # type: ignore[arg-type]


def test_patterns_are_each_prefix_with_a_wildcard() -> None:
    assert patterns_of("app/user.created") == ["app/user.created", "app/*", "app/user.*"]
    assert patterns_of("a/b.c.d") == ["a/b.c.d", "a/*", "a/b.*", "a/b.c.*"]
    assert patterns_of("plain") == ["plain"]


def test_a_trigger_survives_the_registry() -> None:
    for trigger in (EventTrigger("a/b"), EventTrigger("a/*", if_="event.data.x == 1")):
        assert EventTrigger.from_map(trigger.to_map()) == trigger
