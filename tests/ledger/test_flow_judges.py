"""The judges of scripts/ledger flow: each passes a good ledger, and finds what is wrong with a broken one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from tests.ledger.flow.judge import JUDGES
from tests.ledger.flow.making import NAMES, Making

LIMITS, ORDER, RANKS, PATIENCE = "concurrency, singleton", "oldest first", "priority", "nobody is forgotten"
THROTTLE, RATE, DEBOUNCE, BATCH = "throttle", "rate limit", "debounce", "batch"
ONCE, SINGLE, ALL, LEASES = "idempotency", "singleton", "everything is accounted for", "leases"

Ledger = Callable[[Making], None]
GOOD: list[Ledger] = []
BROKEN: list[tuple[str, Ledger]] = []


def good(ledger: Ledger) -> Ledger:
    """All judges pass it."""
    GOOD.append(ledger)
    return ledger


def broken(judge: str) -> Callable[[Ledger], Ledger]:
    """This judge finds it, once."""

    def note(ledger: Ledger) -> Ledger:
        BROKEN.append((judge, ledger))
        return ledger

    return note


@pytest.mark.parametrize("ledger", GOOD, ids=lambda ledger: ledger.__name__)
def test_a_good_ledger_passes(ledger: Ledger) -> None:
    making = Making()
    ledger(making)
    assert [line for judge in JUDGES for line in making.says(judge)] == []


@pytest.mark.parametrize(("judge", "ledger"), BROKEN, ids=lambda part: getattr(part, "__name__", part))
def test_a_broken_ledger_is_found(judge: str, ledger: Ledger) -> None:
    making = Making()
    ledger(making)
    said = making.says(judge)
    assert len(said) == 1, said


def test_every_judge_was_shown_to_find_something() -> None:
    assert {judge for judge, _ in BROKEN} == set(JUDGES)


# --- concurrency


@good
def one_after_another(made: Making) -> None:
    made.quick("flow/one", 0, 5, ended_ms=100)
    made.quick("flow/one", 1, 100)
    made.quick("flow/one", 2, 6, key="other")


@broken(LIMITS)
def two_bodies_of_one_key(made: Making) -> None:
    made.quick("flow/one", 0, 5, ended_ms=100)
    made.quick("flow/one", 1, 99)


@broken(LIMITS)
def two_bodies_of_one_value_in_an_app(made: Making) -> None:
    for at_ms in range(2):
        made.quick("flow/wide-a", at_ms, 5, ended_ms=100)
        made.quick("flow/wide-b", at_ms, 5, ended_ms=100, key=f"k{at_ms}")


@broken(LIMITS)
def three_bodies_of_one_value_in_two_apps(made: Making) -> None:
    made.quick("flow/everywhere", 0, 5, ended_ms=100)
    made.quick("flow/everywhere-def", 0, 5, ended_ms=100)
    made.quick("flow-too/everywhere", 0, 5, ended_ms=100)


@broken(LIMITS)
def the_unkeyed_limit_counts_all_keys(made: Making) -> None:
    for number in range(7):
        made.quick("flow/few", number, 10, key=f"k{number}", ended_ms=100)


@good
def a_run_that_sleeps_holds_nothing(made: Making) -> None:
    event = made.sent("flow/one", 0)
    made.ran("flow/one", event, begun_ms=5, ended_ms=500, bodies=((5, 10), (490, 500)))
    made.quick("flow/one", 1, 20)


def _sleeping_holder(made: Making, comes_ms: int) -> None:
    for _ in range(2):
        event = made.sent("flow/held", 0)
        made.ran("flow/held", event, begun_ms=5, ended_ms=500, bodies=((5, 10), (490, 500)))
    made.quick("flow/held", 1, comes_ms)


@good
def a_run_that_holds_for_its_whole_time_is_waited_for(made: Making) -> None:
    _sleeping_holder(made, 501)


@broken(LIMITS)
def a_run_that_holds_for_its_whole_time_holds_while_it_sleeps(made: Making) -> None:
    _sleeping_holder(made, 200)


@good
def a_body_whose_run_was_taken_away_counts_no_more(made: Making) -> None:
    made.struck(0, 12_000)
    event = made.sent("flow/one", 0)
    # Its process was stopped: the run goes on elsewhere, and the next of the key behind it.
    taken = ((11_000, "its lease ran out"),)
    made.ran("flow/one", event, begun_ms=5, ended_ms=11_100, bodies=((5, 11_000), (11_050, 11_100)), crashes=taken)
    made.quick("flow/one", 1, 11_101)


@good
def a_raised_limit_counts_from_when_it_may_have_stood(made: Making) -> None:
    made.deployed(2, 1000, 1400)
    for number in range(3):
        made.quick("flow/few", number, 1200 + number, ended_ms=1900)


@broken(LIMITS)
def a_raised_limit_does_not_count_before(made: Making) -> None:
    made.deployed(2, 5000, 5400)
    for number in range(3):
        made.quick("flow/few", number, 1200 + number, ended_ms=1900)


@good
def who_was_in_before_a_limit_was_lowered_goes_on(made: Making) -> None:
    made.deployed(1, 1000, 1400)
    made.quick("flow/few", 0, 1300, ended_ms=9000)
    made.quick("flow/few", 1, 1301, ended_ms=9000)


@broken(LIMITS)
def nobody_comes_in_above_a_lowered_limit(made: Making) -> None:
    made.deployed(1, 1000, 1400)
    made.quick("flow/few", 0, 1300, ended_ms=9000)
    made.quick("flow/few", 1, 1401, ended_ms=9000)


@broken(LIMITS)
def a_singleton_has_one_body_though_the_other_is_cancelled(made: Making) -> None:
    first, second = made.sent("flow/replacing", 0), made.sent("flow/replacing", 100)
    why = "a newer run took its place (singleton)"
    made.ran("flow/replacing", first, begun_ms=5, ended_ms=101, state="cancelled", why=why, bodies=((5, 900),))
    made.ran("flow/replacing", second, begun_ms=110, ended_ms=950)


# --- order


@broken(ORDER)
def a_younger_run_of_the_key_went_first(made: Making) -> None:
    made.quick("flow/one", 0, 50)
    made.quick("flow/one", 1, 10)


def _turns(made: Making, first_ends_ms: int) -> None:
    made.quick("flow/paced", 0, 100, key="a", ended_ms=first_ends_ms)
    made.quick("flow/paced", 1, 2000, key="a", ended_ms=2010)
    made.quick("flow/paced", 2, 1800, key="b")


@good
def who_waits_for_its_key_too_lets_others_pass_at_the_throttle(made: Making) -> None:
    _turns(made, 1400)


@broken(ORDER)
def a_younger_run_of_another_key_went_first_at_the_throttle(made: Making) -> None:
    _turns(made, 1200)


@good
def a_higher_rank_goes_first(made: Making) -> None:
    made.quick("flow/ranked", 0, 70)
    made.quick("flow/ranked", 1, 50, rank=60)
    made.quick("flow/ranked", 2, 90)


@broken(RANKS)
def a_higher_rank_went_last(made: Making) -> None:
    made.quick("flow/ranked", 0, 50)
    made.quick("flow/ranked", 1, 70)
    made.quick("flow/ranked", 2, 90, rank=60)
    made.quick("flow/one", 3, 69)  # by then all of them had been routed


@broken(PATIENCE)
def a_run_was_left_at_an_open_gate(made: Making) -> None:
    made.quick("flow/one", 0, 5, ended_ms=1000)
    made.quick("flow/one", 1, 4100)


@broken(PATIENCE)
def a_blocked_key_held_up_another(made: Making) -> None:
    made.quick("flow/tenants", 0, 5, key="blocked", ended_ms=9000)
    made.quick("flow/tenants", 1, 5000, key="free")


@good
def after_a_fault_there_is_more_time(made: Making) -> None:
    made.struck(0, 2000)
    made.quick("flow/one", 0, 5, ended_ms=1000)
    made.quick("flow/one", 1, 14_100)


# --- throttle, rate limit


@good
def throttled(made: Making) -> None:
    for number in range(30):
        made.quick("flow/throttled", number, 5 + 200 * number)


@broken(THROTTLE)
def a_start_was_too_near(made: Making) -> None:
    for at_ms in (5, 193):
        made.quick("flow/throttled", 0, at_ms)


@good
def a_burst(made: Making) -> None:
    for number in range(12):
        made.quick("flow/bursty", number, 5 + max(0, 250 * (number - 2)))


@broken(THROTTLE)
def a_burst_was_too_large(made: Making) -> None:
    for number in range(12):
        made.quick("flow/bursty", number, 5 + max(0, 250 * (number - 3)) + 150 * (number == 4))


@good
def a_burst_of_either_number_around_a_deploy(made: Making) -> None:
    made.deployed(1, 1000, 1400)
    for begun_ms in (990, 990, 990, 1350, 1350, 1475):
        made.quick("flow/bursty", 0, begun_ms)


@broken(THROTTLE)
def a_throttle_was_slow(made: Making) -> None:
    for number in range(30):
        made.quick("flow/throttled", number, 5 + 212 * number)


def _window(made: Making, *decided: tuple[int, bool]) -> None:
    for at_ms, admitted in decided:
        event = made.sent("flow/limited", at_ms)
        if admitted:
            made.ran("flow/limited", event, begun_ms=at_ms, ended_ms=at_ms + 10, admitted_ms=at_ms)
        else:
            made.left("flow/limited", event, at_ms, "rate_limit")


@good
def five_in_any_window(made: Making) -> None:
    _window(made, *((100 * n + 1, True) for n in range(5)), (2000, False), (2001, True), (2002, False), (2101, True))


@broken(RATE)
def a_sixth_was_admitted(made: Making) -> None:
    _window(made, *((100 * n + 1, True) for n in range(5)), (2000, True))


@broken(RATE)
def a_fifth_was_left_out(made: Making) -> None:
    _window(made, *((100 * n + 1, True) for n in range(4)), (500, False))


@good
def the_numbers_that_stand_count(made: Making) -> None:
    made.deployed(1, 1000, 1100)
    _window(made, *((100 * n + 1, True) for n in range(4)), (1200, False), (2050, False), (2150, True))


# --- debounce, batch


@good
def the_newest_of_a_quiet_period(made: Making) -> None:
    first, newest, aged = (
        made.sent("flow/debounced", 0),
        made.sent("flow/debounced", 900),
        made.sent("flow/debounced", 1000, ts_ms=100),
    )
    made.replaced("flow/debounced", first, 900, newest)
    made.replaced("flow/debounced", aged, 1000, newest)
    made.ran("flow/debounced", newest, begun_ms=2005, ended_ms=2010)


@good
def the_timeout_ends_it(made: Making) -> None:
    before = made.sent("flow/debounced", 0)
    for at_ms in range(900, 2500, 800):
        following = made.sent("flow/debounced", at_ms)
        made.replaced("flow/debounced", before, at_ms, following)
        before = following
    made.ran("flow/debounced", before, begun_ms=2505, ended_ms=2510)


@broken(DEBOUNCE)
def it_fired_with_an_older_one(made: Making) -> None:
    first, newest = made.sent("flow/debounced", 0), made.sent("flow/debounced", 900)
    made.replaced("flow/debounced", newest, 900, first)
    made.ran("flow/debounced", first, begun_ms=2000, ended_ms=2010)


@broken(DEBOUNCE)
def it_fired_too_early(made: Making) -> None:
    first, newest = made.sent("flow/debounced", 0), made.sent("flow/debounced", 900)
    made.replaced("flow/debounced", first, 900, newest)
    made.ran("flow/debounced", newest, begun_ms=1800, ended_ms=1810)


@broken(DEBOUNCE)
def an_event_is_in_no_debounce(made: Making) -> None:
    made.sent("flow/debounced", 0)
    newest = made.sent("flow/debounced", 900)
    made.ran("flow/debounced", newest, begun_ms=2000, ended_ms=2010)


@broken(DEBOUNCE)
def it_did_not_fire_in_a_quiet_period(made: Making) -> None:
    first, newest = made.sent("flow/debounced", 0), made.sent("flow/debounced", 5_100)
    made.replaced("flow/debounced", first, 5_100, newest)
    made.ran("flow/debounced", newest, begun_ms=7_500, ended_ms=7_510)


def _batch(made: Making, *batches: tuple[int, ...], begun_ms: int) -> None:
    for number, times in enumerate(batches):
        events = [made.sent("flow/gathered", at_ms) for at_ms in times]
        began_ms = begun_ms + 20 * number
        made.ran("flow/gathered", *events, begun_ms=began_ms, ended_ms=began_ms + 10)


@good
def by_size_and_by_time(made: Making) -> None:
    _batch(made, (0, 1, 2, 3, 4), (5, 6), begun_ms=1010)


@broken(BATCH)
def a_batch_was_too_large(made: Making) -> None:
    _batch(made, (0, 1, 2, 3, 4, 5), begun_ms=1010)


@broken(BATCH)
def a_batch_was_closed_too_early(made: Making) -> None:
    _batch(made, (0, 1), begun_ms=900)


@broken(BATCH)
def a_batch_took_events_for_too_long(made: Making) -> None:
    _batch(made, (0, 1, 4100), begun_ms=4200)


@broken(BATCH)
def an_event_was_lost(made: Making) -> None:
    made.sent("flow/gathered", 0)
    _batch(made, (1, 2), begun_ms=1010)


@broken(BATCH)
def an_event_was_repeated(made: Making) -> None:
    event = made.sent("flow/gathered", 0)
    for begun_ms in (1010, 1030):
        made.ran("flow/gathered", event, begun_ms=begun_ms, ended_ms=begun_ms + 5)


@broken(BATCH)
def a_body_saw_other_events(made: Making) -> None:
    events = [made.sent("flow/gathered", at_ms) for at_ms in (0, 1)]
    made.ran("flow/gathered", *events, begun_ms=1010, ended_ms=1020)
    made.facts.bodies = [replace(made.facts.bodies[0], events=(events[0],))]


# --- idempotency, singleton


@good
def once_per_key(made: Making) -> None:
    run = made.quick("flow/once", 0, 5)
    made.left("flow/once", made.sent("flow/once", 1), 6, "idempotency", run)


@broken(ONCE)
def twice_of_a_key(made: Making) -> None:
    made.quick("flow/once", 0, 5)
    made.quick("flow/once", 10, 15)


@broken(ONCE)
def left_out_for_nobody(made: Making) -> None:
    made.left("flow/once", made.sent("flow/once", 0), 6, "idempotency", "r0")


def _skipped(made: Making, at_ms: int) -> None:
    run = made.quick("flow/skipping", 1, 5, ended_ms=500, id="a")
    made.left("flow/skipping", made.sent("flow/skipping", 100, id="b"), at_ms, "singleton", run)
    made.quick("flow/skipping", 601, 605, ended_ms=700, id="c")


@good
def skipped_for_a_living_run(made: Making) -> None:
    _skipped(made, 101)


@broken(SINGLE)
def skipped_for_a_run_that_had_ended(made: Making) -> None:
    _skipped(made, 510)


@broken(SINGLE)
def let_in_beside_a_living_run(made: Making) -> None:
    made.quick("flow/skipping", 1, 5, ended_ms=500, id="a")
    made.quick("flow/skipping", 400, 501, ended_ms=700, id="c")


def _displaced(made: Making, *, newest: str) -> None:
    first, second = made.sent("flow/replacing", 0), made.sent("flow/replacing", 100)
    why = "a newer run took its place (singleton)"
    made.ran("flow/replacing", first, begun_ms=5, ended_ms=101, state="cancelled", why=why, bodies=((5, 120),))
    made.ran("flow/replacing", second, begun_ms=121, ended_ms=950, state=newest, why=why)


@good
def displaced_by_a_newer_one(made: Making) -> None:
    _displaced(made, newest="completed")


@broken(SINGLE)
def displaced_by_nobody(made: Making) -> None:
    _displaced(made, newest="cancelled")


@broken(SINGLE)
def not_displaced(made: Making) -> None:
    made.quick("flow/replacing", 0, 5, ended_ms=6000)
    made.quick("flow/replacing", 100, 6001)


# --- all


@broken(ALL)
def an_event_came_to_nothing(made: Making) -> None:
    made.sent("flow/one", 0)


@broken(ALL)
def an_event_was_left_out_by_what_is_no_option(made: Making) -> None:
    made.left("flow/one", made.sent("flow/one", 0), 5, "rate_limit")


@broken(ALL)
def a_run_is_stuck(made: Making) -> None:
    made.ran("flow/one", made.sent("flow/one", 0), begun_ms=0, ended_ms=0, state="queued")


@broken(ALL)
def a_run_was_cancelled_by_nobody(made: Making) -> None:
    made.ran("flow/one", made.sent("flow/one", 0), begun_ms=5, ended_ms=6, state="cancelled", why="?")


@broken(LEASES)
def a_run_was_taken_from_a_living_holder(made: Making) -> None:
    event = made.sent("flow/one", 0)
    made.ran("flow/one", event, begun_ms=5, ended_ms=900, crashes=((500, "its lease ran out"),))


def test_every_function_of_the_ledger_is_started_by_an_event_of_its_own() -> None:
    assert len(set(NAMES.values())) == len(NAMES)
