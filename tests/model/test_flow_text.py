"""How flow control reads in `check`, `functions` and `sync`."""

from __future__ import annotations

from typing import Any

import pytest

from durableq import Batch, Concurrency, Debounce, RateLimit, Singleton, Throttle
from durableq.model.flow_text import FLOW_OPTIONS, flow_line, flow_phrases
from tests.model.test_flow_options import declared


@pytest.mark.parametrize(
    ("options", "reads"),
    [
        ({"concurrency": 1000}, "1,000"),
        (
            {
                "concurrency": [
                    10,
                    Concurrency(1, key="event.data.user_id", hold="run"),
                    Concurrency(3, key="'openai'", scope="namespace"),
                ]
            },
            "3 in the namespace per 'openai' and 10 and 1 per event.data.user_id, held until the run ends",
        ),
        ({"concurrency": Concurrency(3, key="'x'", scope="app")}, "3 in the app per 'x'"),
        ({"throttle": Throttle(100, period="1m")}, "100 per 1m"),
        ({"throttle": Throttle(100, period=90, burst=10, key="event.id")}, "100 per 1m30s, 10 at once per event.id"),
        (
            {"rate_limit": RateLimit(5, period="1h", key="event.data.x")},
            "5 per 1h per event.data.x, the rest is dropped",
        ),
        ({"debounce": Debounce("10s", timeout="2m", key="event.id")}, "10s, at most 2m per event.id"),
        ({"debounce": Debounce("10s")}, "10s"),
        (
            {"batch": Batch(100, timeout="5s", key="event.data.x", if_="event.data.y < 3")},
            "100 or 5s per event.data.x, of events with event.data.y < 3",
        ),
        ({"priority": "event.data.p"}, "event.data.p"),
        ({"singleton": "skip"}, "one, the rest is skipped"),
        ({"singleton": Singleton("cancel", key="event.id")}, "one per event.id, a new one cancels it"),
        ({"idempotency": "event.data.cart_id"}, "once in 24h per event.data.cart_id"),
    ],
    ids=str,
)
def test_an_option_reads_as_a_phrase(options: dict[str, Any], reads: str) -> None:
    (option,) = options
    assert flow_phrases(declared(**options)) == {option: reads}
    assert flow_line(declared(**options)) == f"{option} {reads}"


def test_options_stand_in_the_order_in_which_they_are_decided() -> None:
    options: dict[str, Any] = {
        "concurrency": 5,
        "priority": "event.data.p",
        "throttle": Throttle(5, period="1m"),
        "idempotency": "event.id",
    }
    assert list(flow_phrases(declared(**options))) == ["idempotency", "throttle", "priority", "concurrency"]
    assert flow_line({}) == ""


@pytest.mark.parametrize("option", [option for option in FLOW_OPTIONS if option != "priority"])
@pytest.mark.parametrize("stored", [{"limit": "many"}, [{"limit": 5}], 7, "new", [7]])
def test_what_another_release_declared_is_shown_as_it_is(option: str, stored: Any) -> None:
    assert flow_phrases({option: stored}) == {option: repr(stored)}
