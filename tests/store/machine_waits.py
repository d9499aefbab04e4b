"""What may happen to waits in a random play: events, signals, children, cancellation, deliveries that come late."""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING, Any

from durableq.words.ids import entry_of_run, run_created_at_ms, run_id
from tests.store.draws import BLOBS, BUCKETS, DELAYS, FUNCTIONS, KEYS, NAMES
from tests.store.invariants import entry_order

if TYPE_CHECKING:
    from tests.store.machine import Play


def await_event(play: Play, rng: Random) -> None:
    child, run, epoch, seen = play.in_hand(rng)
    if rng.random() < 0.3:
        happen(play, rng)
    path, bucket = rng.choice([("data.id", BUCKETS[0]), ("data.id", BUCKETS[1]), ("-", BUCKETS[2])])
    behind = entry_of_run(run, play.checked.run(run).get("f", ""), run_created_at_ms(run)) if run != "nobody" else ""
    looked, due = "", play.checked.now_ms + rng.choice(DELAYS)
    for _ in range(rng.choice([1, 4, 4])):
        key, name = "v" + rng.choice(KEYS), rng.choice(NAMES)
        reply = play.call(
            "await_events", child.lease, 3, 10_000, run, epoch, seen, key, rng.choice(BLOBS), due, b"", name, behind,
            looked, path, bucket, BUCKETS[2], rng.choice(BLOBS),
        )  # fmt: skip
        if reply == "LEASE_LOST" or not isinstance(reply[1][0], list) or reply[1][0][0] != -1:
            play.told(rng, child, run, reply)
            return
        looked = reply[1][0][1][-1][0].decode()


def await_signal(play: Play, rng: Random) -> None:
    child, run, epoch, seen = play.in_hand(rng)
    due = play.checked.now_ms + rng.choice(DELAYS)
    key, signal = "g" + rng.choice(KEYS), rng.choice(NAMES)
    items = [run, epoch, seen, key, rng.choice(BLOBS), due, b"", signal, rng.choice([0, 0, 1])]
    play.told(rng, child, run, play.call("await_signals", child.lease, *items))


def invoke(play: Play, rng: Random) -> None:
    child, run, epoch, seen = play.in_hand(rng)
    key, function = "i" + rng.choice(KEYS), rng.choice(FUNCTIONS)
    items = [run, epoch, seen, key, rng.choice(BLOBS), play.checked.now_ms + rng.choice(DELAYS), b""]
    of_child = [
        run_id(f"1-{run}{key}", function, 0),
        function,
        b"\xc1 given",
        rng.choice([b"", play.listener(rng)]),
    ]
    play.told(rng, child, run, play.call("invoke_runs", child.lease, *items, *of_child))


def outside(play: Play, rng: Random) -> None:
    play.events += 1
    run, function = run_id(f"2-{play.events}", "outside", 0), rng.choice(FUNCTIONS)
    play.call("start_runs", rng.choice(["", "me"]), run, function, b"\xc1 given", b"")
    play.call("watch_runs", "me", play.some_run(rng), run)


def signal(play: Play, rng: Random) -> None:
    play.call("send_signals", rng.choice(NAMES), f"s{rng.randint(1, 5)}", 60_000, rng.choice(BLOBS))


def cancel(play: Play, rng: Random) -> None:
    run = play.some_run(rng)
    before = play.checked.run(run).get("s")
    reply = play.call("cancel_runs", "why", 3, run)
    assert (reply[1][0] == b"") == (before in ("q", "r", "w")), f"22 {run} was {before}, answered {reply[1][0]!r}"


def retire_names(play: Play, rng: Random) -> None:
    play.call("retire_names", rng.choice([0, 2000]), rng.choice([1, 100]), rng.choice([0, 1]))


def deliver(play: Play, rng: Random) -> None:
    """What a worker does that finds something posted; it may die after any page."""
    if rng.random() < 0.6:
        happen(play, rng)
    page: Any = play.call("read_posts", "", "", 1, 0, 2, 100)
    while len(page) > 1:
        name, entry, _, bucket, flat, number, above = page
        tickets = [part for ticket in flat[::2] if rng.random() < 0.8 for part in (bucket.decode(), ticket)]
        reply = play.call("deliver_event", name.decode(), entry.decode(), int(number == 0), 3, *tickets)
        if reply == "POST_MOVED" or number == 0 or rng.random() < 0.1:
            return
        page = play.call("read_posts", name.decode(), entry.decode(), number, above, 2, 100)


def catch_up(play: Play) -> None:
    """Route and deliver everything that is there: until then no wait for an event times out (not_yet)."""
    meta = play.checked.stored.of("meta")
    entries = play.checked.stored.of("events")
    if entries and entry_order(entries[-1][0]) > entry_order(meta["routed_upto"]):
        play.route(meta, [entries[-1][0]], [])
    page: Any = play.call("read_posts", "", "", 1, 0, 100, 100)
    while len(page) > 1:
        name, entry, _, bucket, flat, number, above = page
        tickets = [part for ticket in flat[::2] for part in (bucket.decode(), ticket)]
        reply = play.call("deliver_event", name.decode(), entry.decode(), int(number == 0), 3, *tickets)
        assert reply != "POST_MOVED", f"{name!r} {entry!r}: nobody else delivers"
        again = ("", "", 1, 0) if number == 0 else (name.decode(), entry.decode(), number, above)
        page = play.call("read_posts", *again, 100, 100)


def deliver_late(play: Play, rng: Random) -> None:
    """Somebody's delivery that stood still: any entry, any ticket."""
    entries = [entry for entry, _ in play.checked.stored.of("events")] or ["1-0"]
    buckets = [part for bucket in BUCKETS for part in (bucket, rng.randint(1, 12))]
    play.call("deliver_event", rng.choice(NAMES), rng.choice(entries), rng.choice([0, 0, 1]), 3, *buckets)


def happen(play: Play, rng: Random) -> None:
    """Events that something may wait for."""
    meta = play.checked.stored.of("meta")
    (entry,) = accept(play, rng.choice([b"\xc1 happened", b"\xc1" + b"x" * 5000]))
    items = ["heard", entry, "", rng.choice(NAMES), 0, " ".join(rng.sample(BUCKETS, 2)).encode()]
    play.route(meta, [entry], items)


def accept(play: Play, *blobs: bytes) -> list[str]:
    found = []
    for blob in blobs:
        play.events += 1
        (entry,) = play.call("send_events", f"e{play.events}", 60_000, blob)
        found.append(entry.decode())
    return found
