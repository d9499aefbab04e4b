"""Decides about flow control: what is parked for ever, held by ended runs, kept without a timer; keys, and pauses."""

from __future__ import annotations

from durableq.model.gate_names import gate_name
from durableq.services.doctor.amounts import count, since, some
from durableq.services.doctor.facts import NamespaceFacts
from durableq.services.doctor.finding import Finding, found, in_order, unseen
from durableq.services.doctor.of_time import READ_REFUSED
from durableq.store.flow_checkup import FlowFacts


def limits(facts: NamespaceFacts) -> list[Finding]:
    flow = facts.flow
    if flow is None:
        return [unseen("limits", READ_REFUSED)]
    findings = [*_stuck(flow), *_leftovers(flow), *_keys(flow), *_paused(flow, facts.now_ms)]
    beyond = f", {flow.unseen:,} more not looked at" if flow.unseen else ""
    keys, parked = count(flow.gates, "key"), count(flow.parked, "run")
    seen = f"{parked} parked at {keys}{beyond}, {flow.held_back:,} debounced or batched"
    return findings or [in_order("limits", seen)]


def _stuck(flow: FlowFacts) -> list[Finding]:
    if not flow.stuck:
        return []
    names = some([f"{one.function}, {_named(one.letter, one.name)} ({count(one.lanes, 'lane')})" for one in flow.stuck])
    mend = "Deploy the limit with another number, which opens what is parked; or cancel these runs and rerun them."
    return [found("parked-for-ever", f"parked at limits that have room: {names}", mend)]


def _leftovers(flow: FlowFacts) -> list[Finding]:
    findings = []
    if flow.slots:
        names = some([f"run {one.run} in {one.key}" for one in flow.slots], 3)
        mend = "SREM the run from its key, then deploy the limit with another number, which opens what is parked."
        findings.append(found("slots-of-ended-runs", f"{count(len(flow.slots), 'slot')}: {names}", mend))
    if flow.untimed:
        names = some([f"{one.function}, {_named(one.letter.lower(), one.key)}" for one in flow.untimed])
        mend = "Send one more event of that key: it sets the timer of a debounce. A batch is closed when it is full."
        findings.append(found("held-back-without-timer", f"{count(len(flow.untimed), 'key')}: {names}", mend))
    if flow.locks:
        names = some([f"run {one.run} in {one.key}" for one in flow.locks], 3)
        findings.append(found("keys-of-ended-runs", f"singleton: {names}", "Nothing is to be done."))
    return findings


def _keys(flow: FlowFacts) -> list[Finding]:
    noted = [
        (fault.times, f"{function}, {option}", fault.reason)
        for function, options in flow.key_faults.items()
        for option, fault in options.items()
    ]
    if not noted:
        return []
    worst = max(noted)
    names = some([f"{name} ({times:,})" for times, name, _ in sorted(noted, reverse=True)])
    mend = "Correct the key (an expression over the event), or what producers send; `false` means: not limited."
    return [found("keys-without-value", f"{names}; the last of {worst[1]}: {worst[2]}", mend)]


def _paused(flow: FlowFacts, now_ms: int) -> list[Finding]:
    if not flow.paused:
        return []
    names = some([f"{name} for {since(at_ms, now_ms)}" for name, (_, at_ms) in sorted(flow.paused.items())])
    return [found("functions-paused", names, "`durableq functions resume ID`, once they may go on.")]


def _named(letter: str, name: str) -> str:
    key = gate_name(letter, name).key
    return "its limit without a key" if key is None else f"key {key!r}"
