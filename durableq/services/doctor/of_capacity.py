"""Decides about room and speed: memory against the backlog, connections, latency, limits that cut."""

from __future__ import annotations

from typing import Final

from durableq.services.doctor.amounts import count, quantile, size
from durableq.services.doctor.facts import NamespaceFacts, Plan, ServerFacts
from durableq.services.doctor.finding import Finding, found, in_order, unseen
from durableq.services.doctor.of_server import CONFIG_REFUSED, INFO_REFUSED
from durableq.services.janitor import PRUNE_ABOVE

QUEUED_RUN_BYTES: Final = 650
GATE_AT: Final = 0.80
MACHINE_FULL_AT: Final = 0.80
FRAGMENTED_RATIO, FRAGMENTED_BYTES = 1.5, 100 << 20
FAR_MS: Final = 5.0
SLOW_NOW_AND_THEN_MS: Final = 50.0
SLOW_SCRIPT_MS: Final = 5.0
OF_A_PARENT, OF_A_CHILD, OF_A_SCHEDULER = 1, 3, 2
"""Connections. A child's are one for scripts, one for blocking reads, and one that user code may open through its app."""
IDLE_CUT_S: Final = 10
"""A connection at work is silent for at most 2.5 s; blocking reads do not count as silence."""
REPLY_BYTES_MAX: Final = 64 << 20
"""The largest reply is a run's memos: 32 MB by default, and what surrounds them."""
BUSY_AFTER_MS: Final = 500
"""Our longest scripts take some 20 ms on a slow machine."""


def memory(facts: ServerFacts, namespace: NamespaceFacts) -> list[Finding]:
    findings = []
    closed_until = namespace.stamp("gate")
    if closed_until > namespace.now_ms:
        mend = "Give Redis more memory (maxmemory), or let workers catch up: it opens by itself below 75 %."
        findings.append(found("gate-closed", "the memory gate is closed", mend))
    used, maximum = facts.number("used_memory"), facts.number("maxmemory")
    if used is None:
        return [*findings, unseen("memory", INFO_REFUSED)]
    findings += _fragmentation(facts, used)
    if not maximum:
        return [*findings, _unbounded(facts, used)]
    seen = f"{size(used)} of {size(maximum)} used, {_fits(used, maximum)}"
    if used < maximum * PRUNE_ABOVE:
        return findings or [in_order("memory", seen)]
    if closed_until <= namespace.now_ms:
        mend = "Give Redis more memory (maxmemory), start more workers if runs pile up, or keep finished runs for less long."
        findings.append(found("memory-near-gate", seen, mend))
    return findings


def _fits(used: float, maximum: float) -> str:
    room = max(0, int((maximum * GATE_AT - used) / QUEUED_RUN_BYTES))
    return f"about {count(room, 'more small queued run')} fit before new events are refused"


def _unbounded(facts: ServerFacts, used: float) -> Finding:
    machine, resident = facts.number("total_system_memory"), facts.number("used_memory_rss") or used
    mend = "CONFIG SET maxmemory to what the machine can spare, and the same in the server's configuration."
    if machine and resident > machine * MACHINE_FULL_AT:
        return found(
            "machine-nearly-full", f"no maxmemory, {size(resident)} of the machine's {size(machine)} used", mend
        )
    return found("memory-unbounded", f"no maxmemory, {size(used)} used", mend)


def _fragmentation(facts: ServerFacts, used: float) -> list[Finding]:
    resident = facts.number("used_memory_rss")
    if resident is None or resident - used < FRAGMENTED_BYTES or resident < used * FRAGMENTED_RATIO:
        return []
    seen = f"{size(resident)} held for {size(used)} of data"
    return [found("fragmented", seen, "CONFIG SET activedefrag yes, or restart the server at a quiet time.")]


def connections(facts: ServerFacts, plan: Plan) -> list[Finding]:
    connected = facts.number("connected_clients")
    most = facts.number("maxclients") or float(facts.settings.get("maxclients") or 0)
    if connected is None or not most:
        return [unseen("connections", INFO_REFUSED if connected is None else CONFIG_REFUSED)]
    need = needed(plan)
    free = int(most - connected)
    of_what = f"{count(plan.workers, 'worker')} of {count(plan.processes, 'process', 'processes')} and a scheduler"
    seen = f"{connected:,.0f} of {most:,.0f} in use; {of_what} need up to {need:,}"
    findings = []
    if free < need:
        mend = "Raise maxclients or take a larger plan; or start fewer processes with a higher --concurrency."
        findings.append(found("connections-short", seen, mend))
    elif free < 2 * need:
        mend = "Raise maxclients or take a larger plan, so that twice as many fit."
        findings.append(found("connections-tight", seen, mend))
    refused = int(facts.number("rejected_connections") or 0)
    if refused:
        mend = "Raise maxclients, or find who opens so many: CLIENT LIST names durableq's own durableq:…"
        findings.append(found("connections-refused", f"{count(refused, 'connection')} refused for lack of room", mend))
    return findings or [in_order("connections", seen)]


def needed(plan: Plan) -> int:
    """The most connections that these workers and one scheduler have at a time."""
    return plan.workers * (OF_A_PARENT + OF_A_CHILD * plan.processes) + OF_A_SCHEDULER


def latency(facts: ServerFacts) -> list[Finding]:
    middle, late = quantile(facts.trips_ms, 0.5), quantile(facts.trips_ms, 0.99)
    seen = f"round trip p50 {middle:.2f} ms, p99 {late:.2f} ms"
    findings = []
    if middle > FAR_MS:
        findings.append(found("far-away", seen, "Run workers where Redis is: same region, same network."))
    if late > max(SLOW_NOW_AND_THEN_MS, 5 * middle):
        mend = "See SLOWLOG GET and LATENCY DOCTOR on the server, other tenants, and the load of this machine."
        findings.append(found("slow-at-times", seen, mend))
    if facts.scripts.taken_ms:
        script = quantile(facts.scripts.taken_ms, 0.5)
        seen += f"; a script {script:.2f} ms"
        if script - middle > SLOW_SCRIPT_MS:
            mend = "Give the server a faster or less busy processor; see SLOWLOG GET for who keeps it busy."
            findings.append(
                found("slow-scripts", f"a script takes {script - middle:.1f} ms longer than a bare call", mend)
            )
    return findings or [in_order("latency", seen)]


def scripts(facts: ServerFacts) -> list[Finding]:
    tried = facts.scripts
    if tried.put_off:
        mend = "Mend what Redis names here; another finding may say how. Work goes on by itself then."
        return [found("writes-refused", tried.refusal, mend)]
    if tried.refusal:
        mend = "Allow EVAL and EVALSHA, and in an ACL the commands that scripts use: deploy/durableq.acl lists them."
        return [found("scripts-refused", tried.refusal, mend)]
    if not tried.taken_ms:
        return [unseen("scripts", "not tried on this server")]
    return [in_order("scripts", "Lua scripts are allowed")]


def settings(facts: ServerFacts) -> list[Finding]:
    told = facts.settings
    if not told:
        return [unseen("settings", CONFIG_REFUSED)]
    findings = []
    idle = int(told.get("timeout") or 0)
    if 0 < idle < IDLE_CUT_S:
        mend = "CONFIG SET timeout 0, or 60 at least."
        findings.append(found("idle-cut", f"connections silent for {idle} s are cut (timeout)", mend))
    limit = _output_limit(told.get("client-output-buffer-limit", ""))
    if 0 < limit < REPLY_BYTES_MAX:
        mend = 'CONFIG SET client-output-buffer-limit "normal 0 0 0".'
        findings.append(found("replies-cut", f"replies to normal clients may take {size(limit)}", mend))
    busy = int(told.get("busy-reply-threshold") or told.get("lua-time-limit") or 0)
    if 0 < busy < BUSY_AFTER_MS:
        mend = "CONFIG SET busy-reply-threshold 5000 (before Redis 7: lua-time-limit)."
        findings.append(found("scripts-soon-busy", f"the server answers BUSY after {busy} ms of a script", mend))
    return findings or [in_order("settings", "no limit that would cut connections or replies")]


def _output_limit(text: str) -> int:
    """The hard or soft limit of class `normal`, whichever is smaller, in bytes; 0: none."""
    words = text.split()
    if "normal" not in words:
        return 0
    at = words.index("normal")
    limits = [int(word) for word in words[at + 1 : at + 3] if word.isdecimal() and int(word)]
    return min(limits, default=0)
