"""The exact keys: what is stored under one name today must be found under it by every later release."""

from __future__ import annotations

import pytest

from durableq.store.keys import KEYS, Keys

EXACT = {
    "meta": "dq:{shop:0}:meta",
    "scratch": "dq:{shop:0}:scratch",
    "events": "dq:{shop:0}:events",
    "seen": "dq:{shop:0}:seen:X",
    "aside": "dq:{shop:0}:aside",
    "event_bell": "dq:{shop:0}:event-bell",
    "names": "dq:{shop:0}:names",
    "idle": "dq:{shop:0}:idle",
    "heard": "dq:{shop:0}:heard:X",
    "recent": "dq:{shop:0}:recent:X",
    "waits": "dq:{shop:0}:waits:X",
    "post": "dq:{shop:0}:post:X",
    "posts": "dq:{shop:0}:posts",
    "signals": "dq:{shop:0}:signals",
    "apps": "dq:{shop:0}:apps",
    "functions": "dq:{shop:0}:functions:X",
    "deployments": "dq:{shop:0}:deployments:X",
    "absent": "dq:{shop:0}:absent:X",
    "timeouts": "dq:{shop:0}:timeouts:X",
    "echoes": "dq:{shop:0}:echoes",
    "faults": "dq:{shop:0}:faults",
    "crons": "dq:{shop:0}:crons",
    "cron": "dq:{shop:0}:cron:X",
    "started": "dq:{shop:0}:started:X",
    "run": "dq:{shop:0}:r:X",
    "input": "dq:{shop:0}:i:X",
    "steps": "dq:{shop:0}:s:X",
    "history": "dq:{shop:0}:h:X",
    "news": "dq:{shop:0}:n:X",
    "output": "dq:{shop:0}:o:X",
    "listens": "dq:{shop:0}:l:X",
    "watchers": "dq:{shop:0}:a:X",
    "answer": "dq:{shop:0}:answer:X",
    "answers": "dq:{shop:0}:answers:X",
    "ready": "dq:{shop:0}:ready:X",
    "work": "dq:{shop:0}:work:X",
    "suspects": "dq:{shop:0}:suspects:X",
    "waiting": "dq:{shop:0}:waiting:X",
    "done": "dq:{shop:0}:done:X",
    "kept": "dq:{shop:0}:kept",
    "void": "dq:{shop:0}:void",
    "timers": "dq:{shop:0}:timers",
    "timer_bell": "dq:{shop:0}:timer-bell",
    "bell": "dq:{shop:0}:bell:X",
    "flow": "dq:{shop:0}:flow:X",
    "paused": "dq:{shop:0}:paused:X",
    "gated": "dq:{shop:0}:gated:X",
    "lane": "dq:{shop:0}:lane:X",
    "lanes": "dq:{shop:0}:lanes:X",
    "parked": "dq:{shop:0}:parked:X",
    "blocked": "dq:{shop:0}:blocked:X",
    "sharers": "dq:{shop:0}:sharers:X",
    "slots": "dq:{shop:0}:slots:X",
    "leaving": "dq:{shop:0}:leaving:X",
    "tat": "dq:{shop:0}:tat:X",
    "once": "dq:{shop:0}:once:X",
    "rate": "dq:{shop:0}:rate:X",
    "lock": "dq:{shop:0}:lock:X",
    "debounce": "dq:{shop:0}:debounce:X",
    "batch": "dq:{shop:0}:batch:X",
    "batching": "dq:{shop:0}:batching:X",
    "holding": "dq:{shop:0}:holding:X",
    "skips": "dq:{shop:0}:skips:X",
    "skipped": "dq:{shop:0}:skipped:X",
    "leases": "dq:{shop:0}:leases",
    "dead": "dq:{shop:0}:dead",
    "lease": "dq:{shop:0}:lease:X",
    "held": "dq:{shop:0}:held:X",
    "inbox": "dq:{shop:0}:inbox:X",
}


@pytest.mark.parametrize("key", KEYS, ids=lambda key: key.name)
def test_a_key_is_exactly_this(key) -> None:  # type: ignore[no-untyped-def]
    assert Keys("shop").of(key.name, "X" if key.argument else "") == EXACT[key.name]


def test_every_key_is_pinned() -> None:
    assert EXACT.keys() == {key.name for key in KEYS}


def test_a_shard_is_a_hash_tag_so_all_its_keys_are_in_one_slot() -> None:
    assert Keys("shop", 3).of("run", "a{b}c") == "dq:{shop:3}:r:a{b}c"


def test_no_family_is_the_beginning_of_another_key() -> None:
    for family in KEYS:
        for key in KEYS:
            if family.argument and key is not family:
                assert not key.suffix.startswith(family.suffix)
