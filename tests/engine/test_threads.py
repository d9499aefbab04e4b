"""Threads are made when none is idle, reused, and counted when they are given up on."""

from __future__ import annotations

import threading

from durableq.engine.given_up import GivenUp
from durableq.engine.threads import Threads


def run(threads: Threads) -> int:
    done = threading.Event()
    seen: list[int] = []

    def work() -> None:
        seen.append(threading.get_ident())
        done.set()

    threads.submit(work)
    assert done.wait(5)
    return seen[0]


def wait_until_idle(threads: Threads, count: int) -> None:
    event = threading.Event()
    for _ in range(1000):
        if len(threads._idle) == count:
            return
        event.wait(0.001)
    raise AssertionError


def test_an_idle_thread_is_used_again() -> None:
    threads = Threads("test")
    first = run(threads)
    wait_until_idle(threads, 1)
    assert run(threads) == first


def test_work_never_waits_for_other_work() -> None:
    threads = Threads("test")
    together = threading.Barrier(51)
    for _ in range(50):
        threads.submit(lambda: (together.wait(5), None)[1])
    together.wait(5)


def test_only_so_many_are_kept() -> None:
    threads = Threads("test", idle_max=2)
    together = threading.Barrier(6)
    for _ in range(5):
        threads.submit(lambda: (together.wait(5), None)[1])
    together.wait(5)
    wait_until_idle(threads, 2)


def test_they_are_daemons_and_end_when_closed() -> None:
    threads = Threads("closing")
    run(threads)
    wait_until_idle(threads, 1)
    [thread] = [thread for thread in threading.enumerate() if thread.name.startswith("closing")]
    assert thread.daemon
    threads.close()
    thread.join(5)
    assert not thread.is_alive()


def test_abandoned_threads_are_counted_by_step() -> None:
    abandoned = GivenUp()
    abandoned.add("run", "step")
    abandoned.add("run", "step")
    abandoned.ended("run", "step")
    assert (abandoned.count, abandoned.holds("run", "step")) == (1, True)
    abandoned.ended("run", "step")
    assert (abandoned.count, abandoned.holds("run", "step")) == (0, False)
