"""Races of flow control, driven through every order of their scripts, and through every order with one arriving twice.

As test_races.py, with its judge: after each script every invariant, no slot beyond a limit, nothing parked that nobody opens.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.servers import Server
from tests.store.flow_stage import THIRD, FlowStage
from tests.store.stage import CHILD, DUE_MS, OTHER, RUN
from tests.store.test_races import Order, Race, broken_orders, first_of, follow, played

ONE = " 0=1 "

# What is there before


def under(
    gates: str, numbers: str, g: str = "", then: Callable[[FlowStage], None] | None = None
) -> Callable[..., None]:
    """A stage under these gates and numbers."""

    def before(stage: FlowStage) -> None:
        stage.under(gates, numbers, g)
        if then is not None:
            then(stage)

    return before


def held_and_parked(stage: FlowStage) -> None:
    stage.held_and_parked()


def held_napping_and_parked(stage: FlowStage) -> None:
    stage.held_and_parked()
    stage.nap()


def in_hand(stage: FlowStage) -> None:
    stage.triggered(RUN)
    assert stage.taken() == [RUN]


def finished(stage: FlowStage) -> None:
    in_hand(stage)
    stage.finish()


def one_began_others_wait(stage: FlowStage) -> None:
    """The throttle let RUN through; OTHER and THIRD wait for their turns, the first of which is due when the race begins."""
    for run in (RUN, OTHER, THIRD):
        stage.triggered(run)
    assert stage.taken() == [RUN]


def one_is_held_back(stage: FlowStage) -> None:
    """An event of a debounce or batch whose time is over when the race begins."""
    stage.arrive_run()


# What must be true in the end


def all_finish(*runs: str, but: str = "") -> Callable[[FlowStage, Order], None]:
    """Nothing is lost: each of these has its result. That no limit was passed the judge saw at every script."""

    def holds(stage: FlowStage, order: Order) -> None:
        assert {run: stage.state(run) for run in runs if run != but} == {run: "c" for run in runs if run != but}

    return holds


def cancelled_one_and_finished_other(stage: FlowStage, order: Order) -> None:
    first = first_of(order, "cancel", "finish")
    assert stage.state(RUN) == ("c" if first == "finish" else "x")
    assert stage.state(OTHER) == "c"


def body_is_alone(stage: FlowStage, order: Order) -> None:
    """OTHER is not claimed before the body of the cancelled run has ended, or was seen to be in nobody's hands."""
    cancelled_one_and_finished_other(stage, order)
    # A copy of a claim that found nothing looks anew, at its own time.
    if "cancel" in order and order.count("claim") == 1 and stage.claimed_at("claim", OTHER):
        freed = {"body_ended", "compare_hands", "crash", "finish"} & set(order[: order.index("claim")])
        assert freed, "its slot was taken from a body that goes on"


def one_of_a_key(reason: str, *runs: str) -> Callable[[FlowStage, Order], None]:
    """Of these triggers the first becomes a run, and the others are recorded as left out for this reason."""

    def holds(stage: FlowStage, order: Order) -> None:
        there = [run for run in runs if stage.state(run) == "c"]
        assert len(there) == 1, there
        acts = {"trigger_run": RUN, "trigger_other": OTHER, "trigger_third": THIRD}
        assert there == [acts[first_of(order, *acts)]]
        # A late copy of a skip is looked at anew, and skipped again.
        assert set(stage.skips()) == {reason}
        assert len(stage.skips()) >= len(runs) - 1

    return holds


def two_of_a_window(stage: FlowStage, order: Order) -> None:
    """Two triggers within a period, the first two that came; a copy of one of them takes no second token."""
    acts = {"trigger_run": RUN, "trigger_other": OTHER, "trigger_third": THIRD}
    came = [acts[act] for act in dict.fromkeys(act for act in order if act in acts)]
    assert [stage.state(run) for run in came] == ["c", "c", "absent"]


def singleton_skips(stage: FlowStage, order: Order) -> None:
    """OTHER is skipped unless RUN had ended when it came; and what skipped it is named."""
    ended = first_of(order, "trigger_other", "finish", "cancel") != "trigger_other"
    # A late copy of what was skipped is decided anew.
    again = order.count("trigger_other") > 1 and follow(order, "finish", "trigger_other")
    assert stage.state(OTHER) == ("c" if ended or again else "absent")
    assert ("singleton" in stage.skips()) == (not ended)


def singleton_replaces(stage: FlowStage, order: Order) -> None:
    """The newest is left, the ones before are cancelled, unless they had ended."""
    assert stage.state(OTHER) == "c"
    ended = first_of(order, "trigger_other", "finish") == "finish" or follow(order, "finish", "fire")
    assert stage.state(RUN) in ("c", "x")
    if ended and "fire" not in order[: order.index("finish")]:
        assert stage.state(RUN) == "c"


def newest_of_each_debounce(stage: FlowStage, order: Order) -> None:
    """Each event is the one that a debounce ended with, or was replaced by a newer one of the same debounce."""
    ts = {RUN: 3, OTHER: 5, THIRD: 4}
    fired = {run for run in ts if stage.state(run) == "c"}
    assert len(fired) + stage.skips().count("debounce") == 3
    assert OTHER in fired, "nothing is newer than it"
    for run in fired:
        assert stage.given(run) is not None


def each_event_in_one_batch(stage: FlowStage, order: Order) -> None:
    """No event is lost, and none is in two."""
    given = b"".join(stage.given(run) or b"" for run in sorted(stage.runs()))
    assert [given.count(b"\xc1 event " + number) for number in (b"1", b"2", b"3")] == [1, 1, 1]


def skipped_if_paused(stage: FlowStage, order: Order) -> None:
    """What comes while the function is paused is recorded as skipped; what came before or after is executed."""
    paused = False
    for act in order:
        paused = {"pause_and_skip": True, "resume": False}.get(act, paused)
        if act == "trigger_other":
            break
    copied = order.count("trigger_other") > 1
    assert copied or stage.state(OTHER) == ("absent" if paused else "c")
    assert stage.state(RUN) == "c"


def nothing_begins_while_paused(stage: FlowStage, order: Order) -> None:
    assert {stage.state(RUN), stage.state(OTHER)} == {"c"}
    before = order[: order.index("claim")]
    if "pause" in before and "resume" not in before[before.index("pause") :] and order.count("claim") == 1:
        assert not stage.claimed_at("claim", OTHER)


def done_again(stage: FlowStage, order: Order) -> None:
    """The rerun is there unless its source was gone; once, and what the source was given."""
    reply = stage.replies["rerun"][0]
    assert (reply == [b"GONE"]) == (stage.state(THIRD) == "absent"), reply
    if stage.state(THIRD) != "absent":
        assert stage.state(THIRD) == "c"


def child_under_a_limit(stage: FlowStage, order: Order) -> None:
    """The child waits for its slot like anybody; whoever cancels the parent ends it wherever it stands."""
    assert stage.state(OTHER) == "c"
    assert stage.state(RUN) == ("x" if "cancel" in order else "c")
    assert stage.state(CHILD) in ("c", "x", "absent")


RACES: dict[str, Race] = {
    name: Race(before, acts, holds)  # type: ignore[arg-type]  # of a stage with flow control
    for name, before, acts, holds in (
        (
            "a slot against a claim and a death",
            under("c0=p", ONE, then=held_and_parked),
            ("finish", "claim", "crash"),
            all_finish(RUN, OTHER),
        ),
        (
            "suspension, wake-up and claim",
            under("c0=p", ONE, then=held_napping_and_parked),
            ("suspend", "fire", "claim", "claim_own"),
            all_finish(RUN, OTHER),
        ),
        (
            "retry, claim and a wake-up",
            under("c0=p", ONE, then=held_and_parked),
            ("retry", "claim", "fire_later", "finish_other"),
            all_finish(RUN, OTHER),
        ),
        (
            "cancelled in hand, with a body that goes on",
            under("c0=p", ONE, then=held_and_parked),
            ("cancel", "body_ended", "claim", "compare_hands"),
            body_is_alone,
        ),
        (
            "cancelled in hand, and the child dies",
            under("c0=p", ONE, then=held_and_parked),
            ("cancel", "crash", "claim", "body_ended"),
            body_is_alone,
        ),
        (
            "cancelled in hand against completion",
            under("c0=p", ONE, then=held_and_parked),
            ("cancel", "finish", "body_ended", "claim"),
            body_is_alone,
        ),
        (
            "what is parked is cancelled",
            under("c0=p", ONE, then=held_and_parked),
            ("cancel_other", "trigger_third", "finish", "claim"),
            all_finish(RUN, THIRD),
        ),
        (
            "a raised limit against a claim",
            under("c0=p", ONE, then=held_and_parked),
            ("raise_limit", "fire", "claim", "trigger_third"),
            all_finish(RUN, OTHER, THIRD),
        ),
        (
            "a limit that is lowered, and taken away",
            under("c0=p", " 0=2 ", then=in_hand),
            ("trigger_other", "lower_limit", "claim", "drop_limits"),
            all_finish(RUN, OTHER),
        ),
        (
            "two limits",
            under("c0=w c1=n", " 0=2 1=1 ", then=held_and_parked),
            ("trigger_third", "finish", "claim", "lower_limit"),
            all_finish(RUN, OTHER, THIRD),
        ),
        (
            "a pool that two functions share",
            under("c0=+n:x", ONE, ONE, then=held_and_parked),
            ("trigger_g", "finish", "claim", "crash"),
            all_finish(RUN, OTHER, THIRD),
        ),
        (
            "a slot for the run against suspension and its end",
            under("r0=p", ONE, then=held_napping_and_parked),
            ("suspend", "fire", "claim", "cancel"),
            cancelled_one_and_finished_other,
        ),
        (
            "a slot for the run and one for the turn",
            under("r0=p c1=q", " 0=1 1=1 ", then=held_napping_and_parked),
            ("suspend", "claim_own", "fire", "claim"),
            all_finish(RUN, OTHER),
        ),
        (
            "a throttle against a cancel",
            under("t=k", " t=1/1000/1 ", then=one_began_others_wait),
            ("fire", "claim", "cancel_other", "fire_later"),
            all_finish(RUN, THIRD),
        ),
        (
            "a throttle with a limit beside it",
            under("t=k c0=p", " 0=1 t=1/1000/1 ", then=one_began_others_wait),
            ("fire", "claim", "finish", "raise_limit"),
            all_finish(RUN, OTHER, THIRD),
        ),
        (
            "one idempotency key",
            under("i=k", " i=86400000 "),
            ("trigger_run", "trigger_other", "trigger_third", "claim"),
            one_of_a_key("idempotency", RUN, OTHER, THIRD),
        ),
        (
            "a rate limit",
            under("l=k", " l=2/3600000 "),
            ("trigger_run", "trigger_other", "trigger_third", "claim"),
            two_of_a_window,
        ),
        (
            "a singleton that skips against the end of the one before",
            under("s=k", " s=skip ", then=in_hand),
            ("trigger_other", "finish", "claim", "prune"),
            singleton_skips,
        ),
        (
            "a singleton that cancels against the end of the one before",
            under("s=k", " s=cancel ", then=in_hand),
            ("trigger_other", "finish", "fire", "claim"),
            singleton_replaces,
        ),
        (
            "a singleton that cancels, and a body that goes on",
            under("s=k", " s=cancel ", then=in_hand),
            ("trigger_other", "fire", "body_ended", "claim"),
            singleton_replaces,
        ),
        (
            "a debounce against its timer",
            under("d=k", f" d={DUE_MS}/0 ", then=one_is_held_back),
            ("arrive_other", "arrive_third", "fire", "fire_later"),
            newest_of_each_debounce,
        ),
        (
            "a batch against its timer",
            under("b=k", f" b=2/{DUE_MS} ", then=one_is_held_back),
            ("arrive_other", "arrive_third", "fire", "fire_later"),
            each_event_in_one_batch,
        ),
        (
            "a batch against a pause",
            under("b=k", f" b=2/{DUE_MS} ", then=one_is_held_back),
            ("arrive_other", "arrive_third", "pause_and_skip", "fire"),
            each_event_in_one_batch,
        ),
        (
            "a pause that skips",
            under("c0=p", ONE, then=in_hand),
            ("pause_and_skip", "trigger_other", "resume", "finish"),
            skipped_if_paused,
        ),
        (
            "a pause against claims",
            under("c0=p", " 0=5 ", then=in_hand),
            ("trigger_other", "pause", "claim", "resume"),
            nothing_begins_while_paused,
        ),
        (
            "a rerun against its source's end",
            under("c0=p", ONE, then=in_hand),
            ("rerun", "finish", "prune", "claim"),
            done_again,
        ),
        (
            "a child under its parent's limit",
            under("c0=+n:x", ONE, ONE, then=held_and_parked),
            ("invoke", "suspend", "claim", "cancel"),
            child_under_a_limit,
        ),
    )
}


@pytest.mark.parametrize("race", RACES)
def test_every_order_of_scripts_ends_well(server: Server, race: str) -> None:
    plays = list(played(RACES[race].acts, copies=False))
    some = plays[::8] if not server.kind.real and len(plays) > 6 else plays
    found = broken_orders(server, RACES[race], some, FlowStage)
    assert not found, f"{len(found)} orders:\n" + "\n".join(found[:3])


@pytest.mark.slow
@pytest.mark.parametrize("race", RACES)
def test_every_order_with_a_script_that_arrives_twice_ends_well(server: Server, race: str) -> None:
    found = broken_orders(server, RACES[race], played(RACES[race].acts, copies=True), FlowStage)
    assert not found, f"{len(found)} orders:\n" + "\n".join(found[:3])
