"""Names of system events: which there are, what else they are called, and what may be listened to at all."""

import pytest

from durableq import ConfigError, EventTrigger
from durableq.model.system import ALIASES, SORT_OF, canonical_name, listened_name


def test_inngest_names_mean_ours_wherever_something_listens() -> None:
    for theirs, ours in ALIASES.items():
        assert canonical_name(theirs) == listened_name("event", theirs) == EventTrigger(theirs).event == ours
    assert canonical_name("order/created") == listened_name("event", "order/created") == "order/created"


def test_our_own_names_are_as_they_are() -> None:
    for name in SORT_OF:
        assert canonical_name(name) == listened_name("event", name) == EventTrigger(name).event == name


@pytest.mark.parametrize(
    ("name", "says"),
    [
        (None, "wait event must be a string, not NoneType"),
        ("", "1 to 256"),
        ("a ", "no space at its ends"),
        ("x" * 257, "1 to 256"),
        ("a\x00b", "printable"),
        ("a\ud800", "printable"),
        ("app/*", "wildcard, which only triggers may have"),
        ("durableq/function.begun", "no such system event; there are durableq/function.finished, "),
        ("inngest/deferred.schedule", "no such system event"),
    ],
)
def test_what_nothing_may_wait_for_is_refused_with_rule_and_value(name: object, says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        listened_name("wait event", name)
