"""Races, driven through every order of their scripts, and through every order with one of them arriving twice.

A race is a row of RACES: what is there before, the acts, and what must be true in the end whatever the order was. After each
script the judge checks every invariant and every change of a run's state (checked.py); at the end a healthy deployment takes
over, and nothing may be stuck or left behind (stage.py). An order is that of the acts which were not refused as stale.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import permutations
from typing import NamedTuple

import pytest
import redis

from tests.servers import Server
from tests.store.stage import CHILD, DUE_MS, LISTENS, OTHER, RUN, Stage

Order = tuple[str, ...]


class Race(NamedTuple):
    before: Callable[[Stage], None]
    acts: tuple[str, ...]
    holds: Callable[[Stage, Order], None]


# What is there before


def asleep_for_event(stage: Stage) -> None:
    in_hand_for_event(stage)
    stage.suspend()


def in_hand_for_event(stage: Stage) -> None:
    stage.in_hand()
    stage.begin(DUE_MS)
    stage.happened()


def asleep_for_late_event(stage: Stage) -> None:
    stage.in_hand()
    stage.begin(DUE_MS)
    stage.suspend()
    stage.happened_late()


def in_hand_for_late_event(stage: Stage) -> None:
    stage.in_hand()
    stage.begin(DUE_MS)
    stage.happened_late()


def event_on_its_way(stage: Stage) -> None:
    stage.in_hand()
    stage.happened()


def in_hand(stage: Stage) -> None:
    stage.in_hand()


def napping_in_hand(stage: Stage) -> None:
    stage.in_hand()
    stage.nap()


def queued(stage: Stage) -> None:
    stage.started()


def asleep_for_signal(stage: Stage) -> None:
    in_hand_for_signal(stage)
    stage.suspend()


def in_hand_for_signal(stage: Stage) -> None:
    stage.in_hand()
    stage.await_signal(due_ms=DUE_MS)


def signal_and_rival(stage: Stage) -> None:
    asleep_for_signal(stage)
    stage.in_hand(OTHER, "L2")


def two_in_hand(stage: Stage) -> None:
    stage.in_hand()
    stage.in_hand(OTHER, "L2")


def child_in_hand(stage: Stage) -> None:
    stage.in_hand()
    stage.invoked()


def asleep_for_child(stage: Stage) -> None:
    child_in_hand(stage)
    stage.suspend()


def listening(stage: Stage) -> None:
    stage.in_hand(extras=LISTENS)
    stage.happened()


def listening_and_waiting(stage: Stage) -> None:
    stage.in_hand(extras=LISTENS)
    stage.begin(DUE_MS)
    stage.happened()


def somebody_listens_to_failures(stage: Stage) -> None:
    stage.checked.arrange("register_app", "a", "r1", "f", b"x", " !", b"e")
    stage.in_hand()


# What must be true in the end


def event_in_time(stage: Stage, order: Order) -> None:
    """It was accepted before the wait's time was over, so it is the result, whoever comes first; unless user code gave up."""
    gave_up = first_of(order, "deliver", "answer", "abandon") == "abandon"
    assert stage.kind() == ("a" if gave_up else "m")
    assert stage.checked.run(RUN)["q"] == "1"


def event_or_timeout(stage: Stage, order: Order) -> None:
    """It was accepted behind that time. One result, that of whoever came first; the number says that there was no other."""
    ends = {"deliver": "m", "answer": "m", "fire": "z", "fire_own": "z", "abandon": "a"}
    first = first_of(order, *ends)
    assert stage.kind() == (ends[first] if first else "m"), "where nobody was in time, settling delivers it"
    assert stage.checked.run(RUN)["q"] == "1"


def event_is_never_missed(stage: Stage, order: Order) -> None:
    """Accepted behind the run's trigger: it resolves the wait, whatever of routing, delivery and registration came first."""
    assert stage.kind() == ("m" if "begin" in order else "")
    assert stage.checked.run(RUN).get("q", "0") == ("1" if "begin" in order else "0")


def cancelled_or_finished(stage: Stage, order: Order) -> None:
    first = first_of(order, "cancel", "finish")
    assert stage.state() == ("x" if first == "cancel" else "c")
    assert (stage.won("cancel"), stage.won("finish")) == ((1, 0) if first == "cancel" else (0, 1))


def cancelled(stage: Stage, order: Order) -> None:
    """Whatever else it was in the middle of; and nothing was recorded behind that."""
    assert stage.state() == "x"
    assert stage.won("cancel") == 1
    assert not {"suspend", "retry", "release"} & set(order[order.index("cancel") :])


def signal_reaches_whom_it_says(stage: Stage, order: Order) -> None:
    told = {reply[0].decode() for reply in stage.replies["signal"]} - {""}
    assert {run for run in (RUN, OTHER) if stage.kind(run) == "d"} == told
    assert len(told) <= 1


def signal_or_timeout(stage: Stage, order: Order) -> None:
    signal_reaches_whom_it_says(stage, order)
    assert stage.kind() == {"signal": "d"}.get(first_of(order, "signal", "fire", "fire_own"), "z")


def signal_reaches_a_wait_that_has_begun(stage: Stage, order: Order) -> None:
    signal_reaches_whom_it_says(stage, order)
    begun = "await_signal" in order
    assert stage.kind() == ("d" if follow(order, "await_signal", "signal") else "z" if begun else "")


def one_has_the_name(stage: Stage, order: Order) -> None:
    """Two that wait for one signal with `fail`: the second has a failure, unless the name was free again by then."""
    signal_reaches_whom_it_says(stage, order)
    runs = {"await_signal": RUN, "compete": OTHER}
    first, second = (act for act in dict.fromkeys(order) if act in runs)
    if "signal" in order[order.index(first) : order.index(second)]:
        assert (stage.kind(runs[first]), stage.kind(runs[second])) == ("d", "z")
    else:
        assert stage.kind(runs[first]) == ("d" if follow(order, first, "signal") else "z")
        assert stage.kind(runs[second]) == "e"


def replaced_or_answered(stage: Stage, order: Order) -> None:
    signal_reaches_whom_it_says(stage, order)
    first = first_of(order, "replace", "signal", "fire")
    assert stage.kind(RUN) == ("d" if first == "signal" else "z")
    # A copy of the signal that has reached somebody reaches nobody else.
    assert stage.kind(OTHER) == ("d" if first != "signal" and follow(order, "replace", "signal") else "z")


def child_or_timeout(stage: Stage, order: Order) -> None:
    ends = {"child_ends": "d", "cancel_child": "e", "fire": "z", "fire_own": "z", "abandon": "a"}
    assert stage.kind() == ends[first_of(order, *ends)]
    assert stage.checked.run(RUN)["q"] == "1"
    assert stage.state(CHILD) == ("x" if first_of(order, "child_ends", "cancel_child") == "cancel_child" else "c")


def parent_ends(stage: Stage, order: Order) -> None:
    """The child's end or the parent's: each ends once, and the parent is answered only while it lives."""
    end = next(act for act in ("cancel", "fail", "finish") if act in order)
    assert stage.state() == {"cancel": "x", "fail": "f", "finish": "c"}[end]
    assert stage.kind() == ("d" if first_of(order, "child_ends", end) == "child_ends" else "0i")
    # Where it was swept first, the child's own end was refused.
    assert stage.state(CHILD) == ("c" if "child_ends" in order else "x")
    assert "child_ends" in order or (follow(order, end, "sweep") and end != "finish")


def cancelled_on_event_or_finished(stage: Stage, order: Order) -> None:
    reached = "finish" not in order
    assert stage.state() == ("x" if reached else "c")
    assert reached == (first_of(order, "finish", "deliver") == "deliver")
    assert stage.kind() in ("", "0v")


def told_of_once_if_at_all(stage: Stage, order: Order) -> None:
    """The event of a failure is written by the script that ends the run, if somebody listens then."""
    assert stage.state() in ("f", "absent")
    references = [fields[1] for _, fields in stage.checked.stored.of("events")]
    assert references.count(b"Se " + RUN.encode()) == int(first_of(order, "fail", "deploy_without") == "fail")


def first_of(order: Order, *acts: str) -> str:
    return next((act for act in order if act in acts), "")


def follow(order: Order, *acts: str) -> bool:
    """Whether these come in this order, perhaps with others between."""
    left = iter(order)
    return all(act in left for act in acts)


RACES: dict[str, Race] = {
    "event against timeout": Race(asleep_for_event, ("route", "deliver", "fire"), event_in_time),
    "event against timeout, between its pages": Race(
        asleep_for_event, ("route", "read", "answer", "fire"), event_in_time
    ),
    "event against the holder's clock": Race(in_hand_for_event, ("route", "deliver", "fire_own"), event_in_time),
    "event against suspension and timeout": Race(
        in_hand_for_event, ("route", "deliver", "suspend", "fire"), event_in_time
    ),
    "event against both clocks": Race(in_hand_for_event, ("route", "deliver", "fire_own", "fire"), event_in_time),
    "event against a branch that is given up": Race(in_hand_for_event, ("route", "deliver", "abandon"), event_in_time),
    "event against the death of the worker": Race(
        asleep_for_event, ("route", "deliver", "crash", "fire"), event_in_time
    ),
    "late event against timeout": Race(asleep_for_late_event, ("route", "deliver", "fire"), event_or_timeout),
    "late event against both clocks": Race(
        in_hand_for_late_event, ("route", "deliver", "fire_own", "fire"), event_or_timeout
    ),
    "event against registration": Race(
        event_on_its_way, ("route", "deliver", "begin", "suspend"), event_is_never_missed
    ),
    "event against registration and a name's retirement": Race(
        event_on_its_way, ("route", "deliver", "begin", "retire_names"), event_is_never_missed
    ),
    "cancel against completion": Race(in_hand, ("cancel", "finish"), cancelled_or_finished),
    "cancel against completion and a timer": Race(
        napping_in_hand, ("cancel", "finish", "fire", "sweep"), cancelled_or_finished
    ),
    "cancel against suspension and wake-up": Race(napping_in_hand, ("cancel", "suspend", "fire", "sweep"), cancelled),
    "cancel against claim": Race(queued, ("cancel", "claim", "sweep"), cancelled),
    "cancel against retry": Race(napping_in_hand, ("cancel", "retry", "fire", "sweep"), cancelled),
    "cancel against release": Race(in_hand, ("cancel", "release", "claim"), cancelled),
    "cancel against the death of the worker": Race(napping_in_hand, ("cancel", "crash", "claim", "fire"), cancelled),
    "cancel against an event": Race(in_hand_for_event, ("cancel", "route", "deliver", "suspend"), cancelled),
    "cancel against a signal": Race(in_hand_for_signal, ("cancel", "signal", "suspend", "sweep"), cancelled),
    "signal against registration": Race(
        in_hand, ("await_signal", "signal", "suspend"), signal_reaches_a_wait_that_has_begun
    ),
    "signal against timeout": Race(asleep_for_signal, ("signal", "fire"), signal_or_timeout),
    "signal against the holder's clock": Race(in_hand_for_signal, ("signal", "fire_own", "suspend"), signal_or_timeout),
    "two that wait for one signal": Race(two_in_hand, ("await_signal", "compete", "signal"), one_has_the_name),
    "replace against timeout": Race(signal_and_rival, ("replace", "signal", "fire"), replaced_or_answered),
    "child's end against timeout": Race(asleep_for_child, ("child_ends", "fire"), child_or_timeout),
    "child's end against suspension": Race(child_in_hand, ("child_ends", "suspend", "fire"), child_or_timeout),
    "child's end against the holder's clock": Race(
        child_in_hand, ("child_ends", "fire_own", "suspend"), child_or_timeout
    ),
    "child's end against its cancellation": Race(
        asleep_for_child, ("child_ends", "cancel_child", "fire"), child_or_timeout
    ),
    "child's end against a branch that is given up": Race(
        child_in_hand, ("child_ends", "abandon", "suspend"), child_or_timeout
    ),
    "child's end against its parent's cancellation": Race(
        child_in_hand, ("child_ends", "cancel", "sweep"), parent_ends
    ),
    "child's end against its sleeping parent's cancellation": Race(
        asleep_for_child, ("child_ends", "cancel", "sweep"), parent_ends
    ),
    "child's end against its parent's failure": Race(child_in_hand, ("child_ends", "fail", "sweep"), parent_ends),
    "child's end against its parent's completion": Race(child_in_hand, ("child_ends", "finish", "sweep"), parent_ends),
    "cancel_on against completion": Race(
        listening, ("route", "deliver", "finish", "sweep"), cancelled_on_event_or_finished
    ),
    "cancel_on against completion, of a run that waits for the same event": Race(
        listening_and_waiting, ("route", "deliver", "finish"), cancelled_on_event_or_finished
    ),
    "a failure's event against a deployment and retention": Race(
        somebody_listens_to_failures, ("fail", "deploy_without", "prune"), told_of_once_if_at_all
    ),
}


class Played(NamedTuple):
    """Acts in an order; `twice` arrives again behind the act of that index."""

    order: tuple[str, ...]
    twice: str = ""
    behind: int = 0


def played(acts: tuple[str, ...], *, copies: bool) -> Iterator[Played]:
    """Every order; and every order with a late copy of each act at every place behind it."""
    for order in permutations(acts):
        yield Played(order)
        if copies:
            for first, act in enumerate(order):
                for behind in range(first, len(order)):
                    yield Played(order, act, behind)


def broken_orders(
    server: Server, race: Race, plays: Iterable[Played], stage: Callable[[redis.Redis], Stage] = Stage
) -> list[str]:
    """What goes wrong in which order, if anything does."""
    found = []
    with server.sync_client() as client:
        for play in plays:
            client.flushall()
            try:
                perform(stage(client), race, play)
            except AssertionError as error:
                found.append(f"{play}: {error}")
    return found


def perform(stage: Stage, race: Race, play: Played) -> None:
    race.before(stage)
    stage.begin_race()
    for at, act in enumerate(play.order):
        stage.act(act)
        if play.twice and play.behind == at:
            stage.again(play.twice)
    order = tuple(stage.done)
    stage.settle()
    race.holds(stage, order)


@pytest.mark.parametrize("race", RACES)
def test_every_order_of_scripts_ends_well(server: Server, race: str) -> None:
    plays = list(played(RACES[race].acts, copies=False))
    # Lua costs the fake ten times as much: of many orders it takes every third, and all with --slow.
    some = plays[::3] if not server.kind.real and len(plays) > 6 else plays
    found = broken_orders(server, RACES[race], some)
    assert not found, f"{len(found)} orders:\n" + "\n".join(found[:3])


@pytest.mark.slow
@pytest.mark.parametrize("race", RACES)
def test_every_order_with_a_script_that_arrives_twice_ends_well(server: Server, race: str) -> None:
    found = broken_orders(server, RACES[race], played(RACES[race].acts, copies=True))
    assert not found, f"{len(found)} orders:\n" + "\n".join(found[:3])


def test_a_late_copy_comes_behind_its_act_at_every_place() -> None:
    found = list(played(("a", "b"), copies=True))
    assert found == [
        (("a", "b"), "", 0), (("a", "b"), "a", 0), (("a", "b"), "a", 1), (("a", "b"), "b", 1),
        (("b", "a"), "", 0), (("b", "a"), "b", 0), (("b", "a"), "b", 1), (("b", "a"), "a", 1),
    ]  # fmt: skip
    assert len(list(played(("a", "b", "c", "d"), copies=True))) == 24 * 11
