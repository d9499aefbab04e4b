"""Decides about clocks, and what depends on time passing: schedulers and timers."""

from __future__ import annotations

from typing import Final

from durableq.services.doctor.amounts import count, since
from durableq.services.doctor.facts import NamespaceFacts, ServerFacts
from durableq.services.doctor.finding import Finding, found, in_order, unseen
from durableq.words.periods import format_ms

DIFFERS_MS: Final = 2_000
JUMPS_MS: Final = 500
BACK_MS: Final = 3_000
NO_SCHEDULER_MS: Final = 30_000
OVERDUE_MS: Final = 5_000
START_ONE: Final = "Start `durableq scheduler`, or a worker with --with-scheduler."
READ_REFUSED: Final = "reading the namespace's keys is refused"


def clock(facts: ServerFacts, namespace: NamespaceFacts) -> list[Finding]:
    findings = []
    reading = facts.clock
    if reading is None:
        return [unseen("clock", "TIME is refused")]
    if abs(reading.ahead_ms) - reading.error_ms > DIFFERS_MS:
        side = "ahead of" if reading.ahead_ms > 0 else "behind"
        seen = f"Redis' clock is {format_ms(abs(reading.ahead_ms))} {side} this machine's"
        findings.append(found("clock-differs", seen, "Run NTP (chrony, systemd-timesyncd) on both machines."))
    if abs(reading.drifted_ms) - 2 * reading.error_ms > JUMPS_MS:
        seen = f"the two clocks moved {format_ms(abs(reading.drifted_ms))} apart while we looked"
        mend = "Find what sets a clock by jumps; let NTP slew it instead."
        findings.append(found("clock-jumps", seen, mend))
    newest = max(namespace.stamp("beat_at_ms"), _of_entry((namespace.meta or {}).get("routed_upto", "")))
    if newest > namespace.now_ms + BACK_MS:
        seen = f"what Redis has noted is up to {format_ms(newest - namespace.now_ms)} in its own future"
        mend = "Run NTP on the server. Nothing is lost: what waits is late by that much, once."
        findings.append(found("clock-went-back", seen, mend))
    apart = format_ms(max(1.0, abs(reading.ahead_ms) + reading.error_ms))
    return findings or [in_order("clock", f"Redis' clock and this machine's are within {apart}")]


def _of_entry(entry: str) -> int:
    at_ms = entry.partition("-")[0]
    return int(at_ms) if at_ms.isdecimal() else 0


def scheduler(namespace: NamespaceFacts) -> list[Finding]:
    if namespace.meta is None:
        return [unseen("scheduler", READ_REFUSED)]
    seen_at_ms = namespace.stamp("scheduler_at_ms")
    silent_ms = namespace.now_ms - seen_at_ms
    if seen_at_ms and silent_ms < NO_SCHEDULER_MS:
        return [in_order("scheduler", f"seen {since(seen_at_ms, namespace.now_ms)} ago")]
    last = f"none seen for {format_ms(silent_ms)}" if seen_at_ms else "none was ever seen"
    return [found("no-scheduler", last, START_ONE)]


def timers(namespace: NamespaceFacts) -> list[Finding]:
    if namespace.timers is None or namespace.crons is None:
        return [unseen("timers", READ_REFUSED)]
    findings = []
    for kind, what, due in (("timers-overdue", "timer", namespace.timers), ("ticks-overdue", "cron", namespace.crons)):
        late_ms = namespace.now_ms - due.first_at_ms if due.due else 0
        if late_ms > OVERDUE_MS:
            seen = f"{count(due.due, what)} overdue, the first by {format_ms(late_ms)}"
            findings.append(found(kind, seen, f"{START_ONE} If one runs, see its log and the latency above."))
    if findings:
        return findings
    first = min((due.first_at_ms for due in (namespace.timers, namespace.crons) if due.pending), default=0)
    if not first:
        return [in_order("timers", "none pending")]
    ahead = f"the first in {format_ms(first - namespace.now_ms)}" if first > namespace.now_ms else "one due now"
    crons = f" and {count(namespace.crons.pending, 'cron')}" if namespace.crons.pending else ""
    return [in_order("timers", f"{namespace.timers.pending:,} pending{crons}, {ahead}")]
