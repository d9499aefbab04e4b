"""The estimate of the server's time."""

from __future__ import annotations

from durableq.words.clock import ServerClock, SystemClock


class HandClock:
    """A clock that stands until it is moved."""

    def __init__(self) -> None:
        self.now_ms = 0.0

    def wall_ms(self) -> int:
        return 5_000_000

    def monotonic_ms(self) -> float:
        return self.now_ms


def test_host_answers_before_the_first_reply() -> None:
    assert ServerClock(HandClock()).now_ms() == 5_000_000


def test_estimate_goes_on_between_replies() -> None:
    hand = HandClock()
    clock = ServerClock(hand)
    clock.saw(1_000)
    hand.now_ms += 50
    assert clock.now_ms() == 1_050


def test_slow_reply_does_not_set_the_estimate_back() -> None:
    hand = HandClock()
    clock = ServerClock(hand)
    clock.saw(1_000)
    hand.now_ms += 100
    clock.saw(1_020)  # written 80 ms before it arrived
    assert clock.now_ms() == 1_100


def test_server_set_back_is_followed_at_once() -> None:
    hand = HandClock()
    clock = ServerClock(hand)
    clock.saw(100_000)
    hand.now_ms += 100
    clock.saw(98_100)  # 2 s earlier than it ought to be
    assert clock.now_ms() == 98_100


def test_estimate_recovers_from_a_very_slow_reply_with_the_next() -> None:
    hand = HandClock()
    clock = ServerClock(hand)
    clock.saw(100_000)
    hand.now_ms += 1_000
    clock.saw(100_400)
    hand.now_ms += 100
    clock.saw(101_100)
    assert clock.now_ms() == 101_100


def test_drift_is_followed() -> None:
    hand = HandClock()
    clock = ServerClock(hand)
    clock.saw(0)
    for second in range(1, 1_000):
        hand.now_ms = second * 1_000.0
        clock.saw(int(second * 999.5))  # the server's second is half a millisecond shorter
        assert abs(clock.now_ms() - second * 999.5) < 5


def test_system_clock_agrees_with_itself() -> None:
    clock = SystemClock()
    assert clock.wall_ms() > 1_700_000_000_000
    assert clock.monotonic_ms() <= clock.monotonic_ms()
