"""What a system event says, and that no run's payload can make anything else of it."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import strategies as st

from durableq.model.event import Event, decode_event, encode_event
from durableq.model.failure import Failure
from durableq.model.run import State
from durableq.model.system import CANCELLED, FAILED, FINISHED, INVOKED, NAME_OF, SORT_OF, TICK
from durableq.model.system_event import Facts, Reference, encode_system_event, read_reference
from durableq.words import codec
from durableq.words.errors import CodecError
from tests.fuzz import fuzz

RUN = "01M82W4ND700R2Z8WSJRYVTXM8"
GIVEN = encode_event(Event("order/created", {"id": 7}, id="order-7", ts=1_790_000_000_000))


def told(name: str, state: State, out: bytes = b"", given: bytes = GIVEN) -> Event[dict[str, Any]]:
    facts = Facts("shop/pay", state, 1_790_000_000_100, 1_790_000_000_900, given, out)
    return decode_event(encode_system_event(Reference(name, RUN), facts))


def test_each_letter_of_the_scripts_is_a_reference() -> None:
    for sort, name in NAME_OF.items():
        assert read_reference(f"S{sort} {RUN}".encode()) == (name, RUN)
        assert SORT_OF[name] == sort


@pytest.mark.parametrize("blob", [b"S", b"Sq " + RUN.encode(), b"Sf", b"Sf ", b"\x01abc", b"S\xff \xff", b""])
def test_anything_else_is_none(blob: bytes) -> None:
    with pytest.raises(CodecError, match="refers to no system event that this release knows"):
        read_reference(blob)


@pytest.mark.parametrize(
    ("name", "state", "out", "more"),
    [
        (FINISHED, State.COMPLETED, codec.encode([1, None]), {"result": [1, None]}),
        (FINISHED, State.COMPLETED, b"", {"result": None}),
        (FAILED, State.FAILED, b"TWorkerCrashed\nsignal 9", {"error": ("WorkerCrashed", "signal 9")}),
        (FAILED, State.FAILED, Failure.of(KeyError("x")).encode(), {"error": ("KeyError", "'x'")}),
        (FAILED, State.FAILED, b"", {"error": ("Error", "")}),
        (CANCELLED, State.CANCELLED, b"TRunCancelled\nwhy", {"error": ("RunCancelled", "function cancelled: why")}),
        (CANCELLED, State.CANCELLED, b"TRunCancelled\n", {"error": ("RunCancelled", "function cancelled")}),
        (INVOKED, State.QUEUED, b"", {}),
        (TICK, State.RUNNING, b"", {"id": 7}),
    ],
)
def test_an_event_says_what_became_of_the_run(name: str, state: State, out: bytes, more: dict[str, Any]) -> None:
    event = told(name, state, out)
    assert (event.name, event.id) == (name, RUN)
    assert event.ts == (1_790_000_000_100 if name in (INVOKED, TICK) else 1_790_000_000_900)
    data = dict(event.data)
    own = {
        "name": "order/created",
        "data": {"id": 7},
        "id": "order-7",
        "ts": 1_790_000_000_000,
        "user": None,
        "v": None,
    }
    assert (data.pop("event"), data.pop("events")) == (own, [own])
    if "error" in data:
        assert sorted(data["error"]) == ["message", "name", "stack"]
        data["error"] = (data["error"]["name"], data["error"]["message"])
    assert data == {"function_id": "pay", "app_id": "shop", "run_id": RUN, **more}


def test_an_event_without_a_time_of_its_own_is_as_old_as_its_run() -> None:
    given = encode_event(Event("order/created", {}))
    assert told(FINISHED, State.COMPLETED, given=given).data["event"]["ts"] == 1_790_000_000_100


@fuzz(
    st.sampled_from(sorted(SORT_OF)),
    st.sampled_from(list(State)),
    st.binary(max_size=40) | st.just(GIVEN),
    st.binary(max_size=40) | st.builds(lambda text: b"T" + text, st.binary(max_size=20)),
)
def test_payloads_that_nobody_has_written_are_a_codec_error_or_an_event(
    name: str, state: State, given: bytes, out: bytes
) -> None:
    try:
        event = told(name, state, out, given)
    except CodecError:
        return
    assert (event.name, event.data["run_id"]) == (name, RUN)
