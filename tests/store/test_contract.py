"""TRANSITIONS, the scripts' headers, the verbs, keys.py and docs/keys.md say the same."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from durableq.model.run import TRANSITIONS, State
from durableq.store.bells import Bells
from durableq.store.calls import Calls
from durableq.store.cancels import Cancels
from durableq.store.crons import Crons, CronToLookAt, Settled, TickWrite
from durableq.store.events import Decision, Events, NewEvent
from durableq.store.flow import Flow
from durableq.store.flow_reads import FlowReads
from durableq.store.invokes import Invokes, InvokeWrite, NewRun
from durableq.store.keys import KEYS
from durableq.store.leases import Leases
from durableq.store.registry import Registry
from durableq.store.reruns import Rerun, Reruns
from durableq.store.runs import (
    FinishWrite,
    FireWrite,
    LeaveWrite,
    ReleaseWrite,
    RetryWrite,
    Runs,
    StepWrite,
    SuspendWrite,
    WaitWrite,
)
from durableq.store.scripts import HeaderError, parse_header
from durableq.store.signals import NewSignal, Signals, SignalWait
from durableq.store.timers import Timers
from durableq.store.upkeep import Upkeep
from durableq.store.waits import AwaitWrite, Waits
from durableq.store.work import Work
from tests.store.recording import RecordingLink, recording_calls
from tests.store.shard import SCRIPTS

ROOT = Path(__file__).parents[2]
STORE = ROOT / "durableq" / "store"
ANSWERED = [0, []]

VERBS: dict[str, tuple[Callable[[Calls], Awaitable[Any]], Any]] = {
    "open_namespace": (lambda c: c.open(), [b"identity", 1, 0]),
    "send_events": (lambda c: Events(c).send_events([NewEvent("e", 1, b""), NewEvent("f", 1, b"")]), [b"", b""]),
    "read_unrouted": (lambda c: Events(c).unrouted(10), [b"0-0", 0, []]),
    "route_events": (
        lambda c: Events(c).route_events("0-0", "1-0", 0, 1, [Decision("run", "1-0"), Decision("aside", "1-0")], 9),
        [1, 0, 0],
    ),
    "await_events": (
        lambda c: Waits(c).await_events(
            "l", [AwaitWrite("r", 1, 0, "k", b"", 1, b"", "e", "", "", "-", "b", "b", b"")] * 2
        ),
        ANSWERED,
    ),
    "read_names": (lambda c: Waits(c).read_names(0), [0, []]),
    "read_posts": (lambda c: Waits(c).read_posts(), []),
    "deliver_event": (
        lambda c: Waits(c).deliver_event("e", "1-0", [("b", 1), ("b", 2)], done=True, keep_failed=1),
        [0, 0, 0],
    ),
    "retire_names": (lambda c: Waits(c).retire_names(1), [0, 0, 0]),
    "await_signals": (
        lambda c: Signals(c).await_signals("l", [SignalWait("r", 1, 0, "k", b"", 1, b"", "s", 0)] * 2),
        ANSWERED,
    ),
    "send_signals": (lambda c: Signals(c).send_signals([NewSignal("s", "t", 1, b"")] * 2), [b"", b"r"]),
    "invoke_runs": (
        lambda c: Invokes(c).invoke_runs("l", [InvokeWrite("r", 1, 0, "k", b"", 1, b"", "c", "a/f", b"", b"")] * 2),
        ANSWERED,
    ),
    "start_runs": (lambda c: Invokes(c).start_runs("c", [NewRun("r", "a/f", b"", b"")] * 2), [b"", b"NO_FUNCTION"]),
    "watch_runs": (lambda c: Invokes(c).watch_runs("c", ["r", "s"]), [b"", b"c"]),
    "cancel_runs": (lambda c: Cancels(c).cancel_runs(["r", "s"], "why"), [0, [b"", b"c"], 0]),
    "sweep_ended": (lambda c: Cancels(c).sweep_ended(), [0, 0]),
    "register_app": (lambda c: Registry(c).register_app("a", "r", {"f": b""}), [1, 1, 1]),
    "promote_deployment": (lambda c: Registry(c).promote_deployment("a", "r"), [1, 1]),
    "retire_functions": (lambda c: Registry(c).retire_functions(1), []),
    "note_faults": (lambda c: Registry(c).note_faults([("a/f throttle", "why"), ("a/f priority", "why")]), 2),
    "register_lease": (lambda c: Leases(c).register_lease("l", "w", ["a"], "r", ["a/f", "a/g"]), [0, 1]),
    "renew_leases": (lambda c: Leases(c).renew_leases(["l", "m"]), [0, [1, b"LOST"]]),
    "close_lease": (lambda c: Leases(c).close_lease("l", crashed=True, reason="", keep_failed=1), [0, 0, 0]),
    "rescue_leases": (lambda c: Leases(c).rescue_leases(keep_failed=1), [0, 0, 0, 0, 0]),
    "count_work": (lambda c: Work(c).left(["l", "m"]), [0, 0, 0, 0, 0]),
    "claim_runs": (lambda c: Runs(c).claim_runs("l", 1, 1, False, 0, ["a", "b"]), [0, 0, 0, 0, []]),
    "record_steps": (lambda c: Runs(c).record_steps("l", [StepWrite("r", 1, 0, "k", "d", b"", b"")] * 2), ANSWERED),
    "record_waits": (lambda c: Runs(c).record_waits("l", [WaitWrite("r", 1, 0, "k", "w", b"", 1, b"")] * 2), ANSWERED),
    "fire_waits": (lambda c: Runs(c).fire_waits("l", [FireWrite("r", 1, 0, "k")] * 2), ANSWERED),
    "suspend_runs": (lambda c: Runs(c).suspend_runs("l", [SuspendWrite("r", 1, 0)] * 2), ANSWERED),
    "retry_runs": (lambda c: Runs(c).retry_runs("l", [RetryWrite("r", 1, 1, 1, b"")] * 2), ANSWERED),
    "finish_runs": (lambda c: Runs(c).finish_runs("l", [FinishWrite("r", 1, "c", b"")] * 2, 1, 1), ANSWERED),
    "release_runs": (lambda c: Runs(c).release_runs("l", [ReleaseWrite("r", 1)] * 2), ANSWERED),
    "leave_slots": (lambda c: Runs(c).leave_slots("l", [LeaveWrite("r", 1)] * 2), ANSWERED),
    "release_strangers": (lambda c: Runs(c).release_strangers("l", 1, ["r", "s"]), [0, [], []]),
    "rerun_runs": (lambda c: Reruns(c).rerun_runs("c", [Rerun("r", "s", b"", 1, b"")] * 2), [b"", b"GONE"]),
    "free_slots": (lambda c: Flow(c).free_slots("l", ["r", "s"]), 2),
    "pause_functions": (lambda c: Flow(c).pause_functions(["a/f", "a/g"], "wait"), [1, b"NO_FUNCTION"]),
    "read_gates": (lambda c: FlowReads(c).gates("a/f"), [0, b"0", []]),
    "note_doing": (lambda c: Runs(c).note_doing("l", "step"), 1),
    "fire_timers": (lambda c: Timers(c).fire_timers(), [0, 0, -1]),
    "read_crons": (lambda c: Crons(c).read_crons(10), [0, -1, [[b"a/f k", b"", 0]]]),
    "tick_cron": (
        lambda c: Crons(c).tick_cron(
            CronToLookAt("a/f k", b"", 1),
            Settled(2, 0, 3, 3),
            "allow",
            [TickWrite(2, "r", b""), TickWrite(2, "s", b"")],
        ),
        [2, 0, 0],
    ),
    "prune_runs": (
        lambda c: Upkeep(c).prune_runs(completed_ms=1, failed_ms=1, bytes_max=1, events_ms=1),
        [0, 0, 0, 0],
    ),
    "set_gate": (lambda c: Upkeep(c).set_gate(0.5, prunable=False), [0, 0]),
}
"""Per script the verb that calls it, with two items where it takes items, and a reply that the verb can read."""


def rows(script: str) -> set[tuple[str, str]]:
    """The (before, after) that a script's header names."""
    return {tuple(text.split(" -> ")) for text in SCRIPTS[script].header.transitions}  # type: ignore[misc]


def name(state: State | None) -> str:
    return "ABSENT" if state is None else state.name


def test_every_transition_has_a_script_whose_header_names_it_and_the_other_way_round() -> None:
    stated = {(row.verb, name(row.before), name(after)) for row in TRANSITIONS for after in row.after}
    # A final state that stays as it is, is no change.
    stated = {(verb, before, after) for verb, before, after in stated if before != after or before not in _FINAL_NAMES}
    # Leases are renewed for the sake of runs in hand, which it does not touch.
    written = {(script, *row) for script in SCRIPTS for row in rows(script)} - {("renew_leases", "RUNNING", "RUNNING")}
    assert stated == written


_FINAL_NAMES = {state.name for state in State if state.final}


def test_a_transition_is_named_once() -> None:
    assert Counter((row.before, row.verb) for row in TRANSITIONS).most_common(1)[0][1] == 1


def test_every_script_has_exactly_one_verb() -> None:
    called = Counter()  # type: Counter[str]
    for module in STORE.glob("*.py"):
        called.update(re.findall(r"(?:\.|_)run\(\s*\"([a-z_]+)\"", module.read_text("utf-8")))
    assert called == Counter(list(SCRIPTS))
    assert VERBS.keys() == SCRIPTS.keys()


@pytest.mark.parametrize("script", sorted(VERBS))
async def test_the_verb_sends_what_the_header_says(script: str) -> None:
    verb, reply = VERBS[script]
    link = RecordingLink(reply)
    await verb(recording_calls(link))
    ((sent, args),) = link.scripts
    header = sent.header
    items = 2 if header.items else 0
    assert sent.name == script
    assert len(args) == len(header.args) + items * len(header.items)
    named = (*header.args, *header.items * items)
    for (argument, kind), value in zip(named, args, strict=True):
        fits = {"int": int, "str": str, "bytes": (bytes, str)}[kind]
        assert isinstance(value, fits), f"{argument} of {script} is {value!r}"
        assert not isinstance(value, bool), f"{argument} of {script} is {value!r}"


def test_every_error_of_a_header_is_one_that_failures_py_knows() -> None:
    known = (STORE / "failures.py").read_text("utf-8")
    for script in SCRIPTS.values():
        for code in re.findall(r"\b[A-Z]+_[A-Z]+\b", script.header.errors):
            assert f'"{code}"' in known, f"{script.name} may answer {code}"


def test_every_code_that_a_script_answers_is_in_its_header() -> None:
    for script in SCRIPTS.values():
        own = set(re.findall(r"error_reply\('([A-Z_]+) ", script.text)) - {"STATE_LOST", "ERR"}
        assert own <= set(re.findall(r"[A-Z_]{4,}", script.header.errors)), script.name


def test_only_what_admits_new_work_may_be_refused_when_memory_is_full() -> None:
    assert {script for script in SCRIPTS if SCRIPTS[script].header.admission} == {
        "send_events",
        "route_events",
        "tick_cron",
        "invoke_runs",
        "start_runs",
        "rerun_runs",
    }


def test_only_open_namespace_works_without_the_identity() -> None:
    assert {script for script in SCRIPTS if not SCRIPTS[script].header.checks_identity} == {"open_namespace"}


@pytest.mark.parametrize("key", KEYS, ids=lambda key: key.name)
def test_every_key_is_used(key: Any) -> None:
    if key.name == "scratch":
        return  # the prelude's
    used = re.compile(rf"\b{key.name}\b")
    bodies = [path.read_text("utf-8") for path in (STORE / "lua").rglob("*.lua")]
    assert any(used.search(_without_header(body)) for body in bodies), f"no script touches {key.name}"


def test_no_header_names_a_key_that_its_script_leaves_alone() -> None:
    for script in SCRIPTS.values():
        body = script.text.partition("local function item")[2] or script.text
        for key in script.header.keys:
            uses = len(re.findall(rf"\b{key}\b(?!'\))", script.text))
            assert uses > 1 or key == "meta", f"{script.name} names {key} and does not use it ({len(body)})"


def test_docs_describe_every_key_and_no_other() -> None:
    text = (ROOT / "docs" / "keys.md").read_text("utf-8")
    described = re.findall(r"^\| *`([a-z_]+)` *\| *`([^`<]+)(<?)[^`]*` *\| *([a-z ]+?) *\|", text, re.MULTILINE)
    types = {"zset": "sorted set"}
    stated = [
        (key.name, key.suffix, "<" if key.argument else "", types.get(key.redis_type, key.redis_type)) for key in KEYS
    ]
    assert sorted(described) == sorted(stated)


async def test_bells_read_only_streams_of_the_table() -> None:
    link = RecordingLink(None)
    await Bells(recording_calls(link)).wait(apps=["a", "b"], events=True, timers=True, inbox="l", block_ms=5)
    (command,) = link.commands
    streams = command[command.index("STREAMS") + 1 :]
    suffixes = ("bell:a", "bell:b", "event-bell", "timer-bell", "inbox:l")
    assert streams == (*(f"dq:{{t:0}}:{suffix}" for suffix in suffixes), *[">"] * 5)
    assert command[command.index("BLOCK") + 1] == 5


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("-- other: x\n", "first line"),
        ("-- a: x\n-- keys: nothing\n", "no key 'nothing'"),
        ("-- a: x\n-- keys: run(lease)\n", "keyed by 'id'"),
        ("-- a: x\n-- keys: run\n", "keyed by 'id'"),
        ("-- a: x\n-- args: lease\n", "not name:str"),
        ("-- a: x\n-- args: l:float\n", "not name:str"),
        ("-- a: x\n-- keys: meta\n-- keys: meta\n", "twice"),
    ],
)
def test_a_header_that_breaks_the_grammar_is_refused(text: str, complaint: str) -> None:
    with pytest.raises(HeaderError, match=re.escape(complaint)):
        parse_header("a", text)


def test_what_a_script_needs_rarely_is_made_only_when_it_is_called() -> None:
    text = SCRIPTS["finish_runs"].text
    at_once, _, rarely = text.partition("local answer_parent_made\n")
    assert "local signals = " not in at_once, "a key that only a child's end needs"
    inner, _, after = rarely.partition("answer_parent_made = answer_parent\n")
    assert "local signals = " in inner
    assert "local function end_wait(" in inner
    assert "local function end_wait(" not in at_once + after


def _without_header(text: str) -> str:
    return "\n".join(line for line in text.splitlines() if not line.lstrip().startswith("--"))
