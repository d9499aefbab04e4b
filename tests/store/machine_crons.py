"""What deployments and schedulers do in a random play: functions and their cron triggers come and go, ticks are performed."""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING

from durableq.words.ids import tick_run_id
from tests.store.draws import DELAYS, NUMBERS

if TYPE_CHECKING:
    from tests.store.machine import Play


def deploy(play: Play, rng: Random) -> None:
    functions = rng.sample("fg", rng.randint(1, 2))
    items = [part for name in functions for part in (name, rng.choice([b"x", b"y"]))]
    items += [
        part for name in functions if rng.random() < 0.5 for part in (f"{name} !", rng.choice([b"500 800", b"0 9000"]))
    ]
    items += [part for name in functions if rng.random() < 0.8 for part in (f"{name} ~", rng.choice(NUMBERS))]
    if rng.random() < 0.3:
        items += [" !", rng.choice([b"fexi", b"e", b""])]
    for name in functions:
        for key in rng.sample(("c1", "c2"), rng.randint(0, 2)):
            items += [f"{name} {key}", rng.choice([b"spec", b"other"])]
    play.call("register_app", "a", f"r{rng.randint(1, 6)}", *items)


def retire(play: Play, rng: Random) -> None:
    play.call("retire_functions", rng.choice([0, 2000]), "")


def look(play: Play, rng: Random) -> None:
    play.call("read_crons", rng.choice([1, 100]))


def tick(play: Play, rng: Random) -> None:
    """What a scheduler does that has just looked, of any of the ticks since."""
    trigger, fields = some_cron(play, rng)
    upto, now = int(fields.get("upto", 0)), play.checked.now_ms
    ticks = sorted({rng.randint(upto + 1, now) for _ in range(rng.randint(0, 3))}) if now > upto else []
    call_tick(play, rng, trigger, fields.get("spec", "spec"), upto, ticks)


def wrong_tick(play: Play, rng: Random) -> None:
    """What one does that looked long ago, or whose clock is ahead."""
    trigger, fields = some_cron(play, rng)
    upto = int(fields.get("upto", 10_000)) + rng.choice([-1000, 0, 1])
    ticks = [upto + rng.choice([-5, 1]), play.checked.now_ms + rng.choice([0, 1000])]
    call_tick(play, rng, trigger, rng.choice(["spec", "other"]), upto, ticks)


def call_tick(play: Play, rng: Random, trigger: str, spec: str, upto: int, ticks: list[int]) -> None:
    overlap = rng.choice(["skip", "allow"])
    started = play.checked.stored.of("started", trigger)
    busy = any(play.checked.run(run).get("s", "c") in "qrw" for run in started)
    items = [
        part for at in ticks for part in (at, tick_run_id(trigger.split()[0], trigger, at, 0), b"\xc1 a tick", b"")
    ]
    to, missed = ticks[-1] if ticks else upto, rng.choice([0, 0, 2])
    reply = play.call("tick_cron", trigger, spec, upto, to, missed, to + 1, to + rng.choice(DELAYS), overlap, *items)
    if busy and overlap == "skip" and reply != "CRON_MOVED":
        assert reply[0] == 0, f"15 {trigger} started a run beside one that is not final"


def some_cron(play: Play, rng: Random) -> tuple[str, dict[str, str]]:
    if not play.checked.stored.of("crons"):
        deploy(play, rng)
    trigger = rng.choice([*sorted(play.checked.stored.of("crons")), "a/f c1"])
    return trigger, play.checked.stored.of("cron", trigger)
