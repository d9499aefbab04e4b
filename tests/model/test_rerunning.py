"""What a rerun is given, and how steps are named to go on from."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from durableq.model.event import Event, decode_event, encode_event
from durableq.model.limits import Limits
from durableq.model.rerunning import KEPT, input_again, keys_of, occurrences, step_named
from durableq.words.errors import CodecError, EventError, LimitExceeded
from durableq.words.ids import rerun_run_id, run_created_at_ms, run_id, run_shard, step_key

CREATED_MS = 1_800_000_000_000
SOURCE = run_id(f"{CREATED_MS}-0", "shop/pay", 37)


def again(event: Event[Any], data: Any = KEPT) -> tuple[bytes, Event[Any]]:
    """What is sent, and the event that the rerun has."""
    blob = encode_event(event)
    made = input_again(SOURCE, blob, CREATED_MS, data, Limits())
    assert made.name == event.name
    return made.blob, decode_event(made.blob or blob, "1900000000000-0")


def test_an_event_that_told_its_time_is_taken_as_it_is() -> None:
    event = Event("a/b", {"n": 1}, id="x", ts=1_700_000_000_000, user={"id": 7}, v="2")
    assert again(event) == (b"", event)


def test_one_that_did_not_has_the_time_at_which_it_was_accepted() -> None:
    sent, event = again(Event("a/b", {"n": 1}, id="x", user={"id": 7}, v="2"))
    assert sent
    assert event == Event("a/b", {"n": 1}, id="x", ts=CREATED_MS, user={"id": 7}, v="2")


def test_other_data_leave_the_rest_as_it_was() -> None:
    _, event = again(Event("a/b", {"n": 1}, id="x", user={"id": 7}, v="2"), {"m": (1, b"2")})
    assert event == Event("a/b", {"m": (1, b"2")}, id="x", ts=CREATED_MS, user={"id": 7}, v="2")
    assert again(Event("a/b", {"n": 1}), None)[1].data == {}


def test_names_that_nobody_may_send_under_are_kept() -> None:
    event = decode_event(encode_event(Event("durableq/cron.tick", {"n": 1})))
    assert again(event, {})[1].name == "durableq/cron.tick"


@pytest.mark.parametrize(
    ("data", "error"),
    [(7, EventError), ({"n": object()}, EventError), ({"n": "x" * 600_000}, LimitExceeded)],
    ids=["a number", "an object", "too large"],
)
def test_data_that_no_event_may_have_are_refused(data: Any, error: type[Exception]) -> None:
    with pytest.raises(error, match=f"^rerun of {SOURCE}: "):
        again(Event("a/b"), data)


def test_a_batch_is_taken_as_it_is_and_seen_by_its_first_event() -> None:
    first, second = encode_event(Event("a/b", {"n": 1})), encode_event(Event("a/b", {"n": 2}))
    blob = b"B" + b"".join(b"%d %d %b" % (len(one), CREATED_MS - 5, one) for one in (first, second))
    made = input_again(SOURCE, blob, CREATED_MS, KEPT, Limits())
    assert (made.blob, made.scope["data"], made.scope["ts"]) == (b"", {"n": 1}, CREATED_MS - 5)
    with pytest.raises(EventError, match="it was given a batch of events"):
        input_again(SOURCE, blob, CREATED_MS, {}, Limits())


def test_damaged_input_is_said_to_be() -> None:
    with pytest.raises(CodecError):
        input_again(SOURCE, b"\xc1", CREATED_MS, KEPT, Limits())


# ---- names of steps


@given(st.dictionaries(st.text(min_size=1, max_size=5), st.integers(1, 20), max_size=5))
def test_every_use_of_an_id_is_told_and_found_by_what_it_is_called(uses: dict[str, int]) -> None:
    steps = [(step_key(name, used), name) for name, times in uses.items() for used in range(times)]
    found = occurrences(steps)
    assert len(found) == len(steps)
    for name, times in uses.items():
        for used in range(times):
            assert found[step_key(name, used)] == used + 1
            assert step_key(name, used) in keys_of(step_named(name, used + 1))


def test_of_a_loop_some_may_be_missing() -> None:
    assert occurrences([(step_key("a", 50), "a")]) == {step_key("a", 50): 51}
    assert occurrences([("ff", "of which only the key is known")]) == {}


def test_an_id_that_looks_like_a_later_use_is_itself_first() -> None:
    assert keys_of("a:2") == [step_key("a:2", 0), step_key("a", 1)]
    for plain in ("a", "a:1", "a:0", ":2", "a:x", "a:-2", "a:٢", f"a:{1 << 70}"):
        assert keys_of(plain) == [step_key(plain, 0)]


def test_a_rerun_has_one_id_for_one_token_on_the_sources_shard() -> None:
    one = rerun_run_id("token", SOURCE, CREATED_MS + 5)
    assert one == rerun_run_id("token", SOURCE, CREATED_MS + 5)
    assert (run_shard(one), run_created_at_ms(one)) == (37, CREATED_MS + 5)
    assert len({one, rerun_run_id("other", SOURCE, CREATED_MS + 5), rerun_run_id("token", one, CREATED_MS + 5)}) == 3
