"""Random plays keep every invariant, on every server; `DURABLEQ_FUZZ=1000` makes them many."""

from __future__ import annotations

import os

from tests.fuzz import EXAMPLES
from tests.servers import Server
from tests.store.machine import WEIGHTS, Play
from tests.store.plans import Act, planned, shrunk

ACTS = 70
FIRST_SEED = int(os.environ.get("DURABLEQ_SEED", "0"))


def test_no_play_breaks_an_invariant_or_strands_a_run(server: Server) -> None:
    # Fewer on the fake: Lua costs it ten times as much.
    plays = EXAMPLES // 2 if server.kind.real else max(4, EXAMPLES // 15)
    for seed in range(FIRST_SEED, FIRST_SEED + plays):
        plan = planned(seed, ACTS, WEIGHTS)
        if failure(server, plan) is not None:
            short = shrunk(plan, lambda plan: failure(server, plan) is not None)
            raise AssertionError(f"seed {seed}, shrunk to {short}:\n{failure(server, short)}")


def test_a_play_that_breaks_something_is_found_and_shrunk() -> None:
    plan: list[Act] = [("send", 1), ("begin", 2), ("claim", 3), ("clock", 4), ("finish", 5)]
    assert shrunk(plan, lambda plan: ("claim", 3) in plan) == [("claim", 3)]


def failure(server: Server, plan: list[Act]) -> str | None:
    """What goes wrong in this play, if anything does."""
    server.flush()
    with server.sync_client() as client:
        play = Play(client, "play")
        try:
            play.act(plan)
        except AssertionError as broken:
            return "\n".join([f"{name}{args}" for name, args in play.checked.log] + [str(broken)])
    return None
