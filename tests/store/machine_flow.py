"""Flow control in a random play: gates of what triggers a run, pauses, bodies of cancelled runs that end."""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING

from durableq.model.flow import with_gates
from durableq.words.ids import run_id
from tests.store.draws import FUNCTIONS

if TYPE_CHECKING:
    from tests.store.machine import Play


def body_ended(play: Play, rng: Random) -> None:
    """A child says that the bodies of cancelled runs have ended."""
    child = play.child(rng)
    runs = sorted(play.checked.stored.of("leaving", child.lease))
    play.call("free_slots", child.lease, rng.choice([*runs, "nobody"]), play.some_run(rng))


def leave_slots(play: Play, rng: Random) -> None:
    """A turn is about to end while code of it executes that was given up on."""
    child, run, epoch, _ = play.in_hand(rng)
    play.told(rng, child, run, play.call("leave_slots", child.lease, run, epoch))


def pause(play: Play, rng: Random) -> None:
    play.call("pause_functions", rng.choice(FUNCTIONS), rng.choice(["wait", "skip", "", ""]), "a/f", "")


def rerun(play: Play, rng: Random) -> None:
    """Somebody has a run done again, whatever it is doing, from the start or from some result on."""
    source = play.some_run(rng)
    function = play.checked.run(source).get("f", "a/f")
    given = rng.choice([b"", b"", b"\xc1 edited"])
    play.events += 1
    run = run_id(f"3-{play.events}", "again", 0)
    last = rng.choice([0, 1, 99])
    play.call("rerun_runs", rng.choice(["", "me"]), run, source, given, last, gated(rng, function, b""))


def gated(rng: Random, function: str, extras: bytes) -> bytes:
    """With flow control, or without: what the router evaluates for one event."""
    if rng.random() < 0.4:
        return extras
    mine = f"{function}:k{rng.randint(1, 2)}"
    parts = [f"i={mine}", f"l={mine}", f"d={mine} e={rng.randint(1, 9)}", f"b={mine}", f"s={mine}s"]
    parts = [part for part in parts if rng.random() < 0.15]
    parts += [f"p={rng.choice([-500, 0, 700])}"] * (rng.random() < 0.2)
    parts += [f"t={mine}t"] * (rng.random() < 0.3)
    parts += rng.choice(
        [
            [],
            [f"c0={mine}"],
            ["c0=+n:x"],
            [f"c0={function}w", f"c1={mine}"],
            [f"r0={mine}r"],
            [f"r0={mine}r", "c1=+n:y"],
            [f"c2000001={mine}q"],
            [f"c0={function}w", f"r3000001={mine}u", f"c2000002={mine}v"],
        ]
    )
    return with_gates(" ".join(parts), extras) if parts else extras


def held_back(play: Play) -> list[str]:
    """Debounces and batches that are still to become runs."""
    return [key for family in ("debounce", "batch") for key, _ in play.checked.stored.family(family)]
