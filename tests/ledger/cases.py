"""Cases: what is started, what is done to it and when, drawn from a seed.

A case is one run, or a few that wait for the same thing and are started together. Its *plan* says how it is meant to end; a
contended one may end in more than one way, and the judge goes by what was accepted when. When adding a plan: a function here
that gives its case, its row in PLANS, and what the judge shall make of it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random
from typing import Any

ANSWER, SIGNAL, CANCEL_EVENT, CANCEL, CANCEL_BY_COMMAND = (
    "answer",
    "signal",
    "cancel event",
    "cancel",
    "cancel by command",
)
BY_NAME = frozenset({CANCEL, CANCEL_BY_COMMAND})
DELIVERED = "delivered"
LONG_S = 3600.0
"""A timeout that no run of the ledger lives to see: one that is not answered is stuck."""
AT_ONCE = -1.0
"""In the same call as what starts the run."""
AHEAD = -2.0
"""In that call, but before it: it is not for the run."""

WAITING = ("event", "event", "ranged", "loop", "signal", "invoke", "race")
"""Programs that wait, the most usual twice."""


@dataclass
class Deed:
    """One thing that is done to a case, and what came of it."""

    what: str
    after_s: float
    """After its case was started; AT_ONCE with it, AHEAD just before."""
    mark: str = ""
    fail: bool = False
    again: bool = False
    """Sent twice, under the same id."""
    to_child: bool = False
    event_id: str = ""
    began_ms: float = 0.0
    ended_ms: float = 0.0
    outcomes: dict[str, str] = field(default_factory=dict)
    """Per run what the call said of it."""
    unsure: int = 0
    """Calls that Redis did not confirm: they may have had their effect."""


@dataclass
class Case:
    """Some runs, and what is done to them."""

    number: int
    program: str
    plan: str
    size: int
    data: dict[str, Any]
    deeds: list[Deed]
    outside: bool = False
    """Invoked by a client that waits for its result, instead of started by an event."""
    runs: list[str] = field(default_factory=list)
    """The ids of its runs, once they are accepted."""
    entries: list[str] = field(default_factory=list)
    """What started each in the stream."""
    results: dict[str, Any] = field(default_factory=dict)
    """Per run what its handle brought."""

    @property
    def key(self) -> str:
        return str(self.data["key"])


def draw_case(number: int, chance: Random) -> Case:
    """The case of this number."""
    names, weights = list(PLANS), [weight for _, weight in PLANS.values()]
    (plan,) = chance.choices(names, weights)
    case = PLANS[plan][0](number, chance)
    case.plan = plan
    if case.program == "invoke":
        for deed in case.deeds:
            deed.to_child |= deed.what in (ANSWER, SIGNAL)
    if chance.random() < 0.5:
        case.program += "-def"
    return case


def _case(number: int, chance: Random, program: str = "", timeout_s: float = LONG_S, size: int = 1) -> Case:
    program = program or chance.choice(WAITING)
    data = {
        "key": f"key-{number}",
        "number": number,
        "lag": chance.choice((0, 0, 0.3, 2)),
        "timeout": timeout_s,
        "patience": LONG_S,
        "nap": timeout_s,
    }
    return Case(number, program, "", 1 if program == "signal" else size, data, [])


def _answers(case: Case, after_s: float, *, count: int = 0, fail: bool = False, again: bool = False) -> None:
    """As many answers as its program asks for."""
    what = SIGNAL if case.program == "signal" else ANSWER
    for place in range(count or (3 if case.program == "loop" else 1)):
        at_s = after_s if after_s == AT_ONCE else after_s + 0.4 * place
        case.deeds.append(Deed(what, at_s, f"{case.number}.{len(case.deeds)}", fail=fail, again=again))


def _some_time(chance: Random, most_s: float = 8.0) -> float:
    return chance.choice((AT_ONCE, 0.0, 0.1, chance.uniform(0, most_s), chance.uniform(0, most_s)))


def answered(number: int, chance: Random) -> Case:
    case = _case(number, chance, size=chance.choice((1, 1, 1, 4)))
    _answers(case, _some_time(chance), again=chance.random() < 0.2)
    return case


def answered_twice(number: int, chance: Random) -> Case:
    case = _case(number, chance)
    _answers(case, _some_time(chance))
    _answers(case, chance.uniform(0, 3))
    return case


def too_early(number: int, chance: Random) -> Case:
    case = _case(number, chance, chance.choice(("event", "ranged", "loop", "race")))
    case.deeds = [Deed(CANCEL_EVENT, AHEAD), Deed(ANSWER, AHEAD, f"{number}.early")]
    _answers(case, _some_time(chance))
    return case


def failed(number: int, chance: Random) -> Case:
    case = _case(number, chance)
    _answers(case, _some_time(chance), fail=True)
    return case


def cancelled(number: int, chance: Random) -> Case:
    case = _case(number, chance, size=chance.choice((1, 1, 1, 4)))
    what = chance.choice((CANCEL_EVENT, CANCEL))
    case.deeds = [Deed(what, _some_time(chance) if what == CANCEL_EVENT else chance.uniform(0, 6))]
    return case


def cancelled_by_command(number: int, chance: Random) -> Case:
    case = _case(number, chance)
    case.deeds = [Deed(CANCEL_BY_COMMAND, chance.uniform(0, 3))]
    return case


def left_alone(number: int, chance: Random) -> Case:
    case = _case(number, chance, timeout_s=chance.uniform(0.1, 6))
    case.data["nap"] *= chance.choice((0.5, 1, 2))
    return case


def child_cancelled(number: int, chance: Random) -> Case:
    case = _case(number, chance, "invoke")
    case.deeds = [Deed(CANCEL_EVENT, chance.uniform(0, 4), to_child=True)]
    return case


def impatient(number: int, chance: Random) -> Case:
    case = _case(number, chance, "invoke", timeout_s=chance.uniform(0.1, 6))
    case.data["patience"] = chance.uniform(0.1, 6)
    return case


def hurried(number: int, chance: Random) -> Case:
    case = _case(number, chance, "hurried")
    if chance.random() < 0.5:
        _answers(case, chance.uniform(0, 6))
    return case


def contended(number: int, chance: Random) -> Case:
    """An answer, a cancel and a timeout or the sleep of a race, all about the same moment."""
    at_s = chance.uniform(0.2, 4)
    case = _case(number, chance, timeout_s=chance.choice((LONG_S, at_s)))
    case.data["nap"] = at_s
    _answers(case, max(0.0, at_s + chance.uniform(-0.1, 0.1)))
    case.deeds.append(Deed(chance.choice((CANCEL_EVENT, CANCEL)), max(0.0, at_s + chance.uniform(-0.05, 0.05))))
    return case


def invoked(number: int, chance: Random) -> Case:
    """From outside, by a client that waits for the result."""
    case = _case(number, chance, chance.choice(("event", "signal", "race")), timeout_s=chance.choice((LONG_S, 2)))
    case.outside = True
    if chance.random() < 0.3:
        case.deeds = [Deed(CANCEL, chance.uniform(0, 3))]
    else:
        _answers(case, chance.uniform(0, 3), fail=chance.random() < 0.3)
    return case


Plan = Callable[[int, Random], Case]

PLANS: dict[str, tuple[Plan, float]] = {
    "answered": (answered, 30),
    "answered twice": (answered_twice, 10),
    "too early": (too_early, 5),
    "failed": (failed, 8),
    "cancelled": (cancelled, 18),
    "cancelled by command": (cancelled_by_command, 0.3),
    "left alone": (left_alone, 15),
    "child cancelled": (child_cancelled, 4),
    "impatient": (impatient, 3),
    "hurried": (hurried, 4),
    "contended": (contended, 12),
    "invoked": (invoked, 4),
}
"""Plans, and how often each is drawn."""
