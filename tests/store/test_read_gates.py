"""What looks at gates never suspects a lane that somebody is going to open: no random play brings it to that."""

from __future__ import annotations

from random import Random

from tests.fuzz import EXAMPLES
from tests.servers import Server, on
from tests.store.draws import FUNCTIONS, NUMBERS
from tests.store.machine import ELSEWHERE, Play
from tests.store.plans import planned

ACTS, STRIDE = 60, 3
WEIGHTS = {
    "send": 30, "begin": 4, "claim": 20, "finish": 8, "suspend": 4, "fire": 2, "cancel": 3, "body_ended": 3, "fire_timers": 8,
    "clock": 4, "deploy": 2, "pause": 1, "close": 1, "release": 2, "sweep": 1,
}  # fmt: skip
"""Of the random plays' acts those that fill limits: there many a play parks nothing."""


@on("redis7")
def test_no_play_brings_a_lane_into_suspicion(server: Server) -> None:
    parked = 0
    for seed in range(1000, 1000 + max(4, EXAMPLES // 12)):
        server.flush()
        plan = planned(seed, ACTS, WEIGHTS)
        with server.sync_client() as client:
            play = Play(client, "play")
            play.call("register_app", "a", "r0", "f", b"x", "g", b"x", "f ~", NUMBERS[0], "g ~", NUMBERS[0])
            for start in range(0, len(plan), STRIDE):
                for name, argument in plan[start : start + STRIDE]:
                    act = ELSEWHERE.get(name) or getattr(Play, name)
                    act(play, Random(argument))
                for function in FUNCTIONS:
                    _, _, gates = play.checked.arrange("read_gates", function, "0", 200)
                    parked += len(gates)
                    assert [gate for gate in gates if gate[-1] != 1] == [], (
                        f"seed {seed}, after {plan[: start + STRIDE]}"
                    )
    assert parked > 10, "the plays park too little to say anything"
