"""Decides about waits for events: those that no index finds, deliveries that are late, and what hangs on ended runs."""

from __future__ import annotations

from typing import Final

from durableq.services.doctor.amounts import count, some
from durableq.services.doctor.facts import NamespaceFacts
from durableq.services.doctor.finding import Finding, found, in_order, unseen
from durableq.services.doctor.of_time import READ_REFUSED
from durableq.words.periods import format_ms

UNINDEXED_MANY: Final = 1_000
"""Of one name: ten pages, some 3 ms of Redis for each of its events."""
UNDELIVERED_MS: Final = 10_000
VOID_MANY: Final = 10_000
"""A scheduler sweeps a hundred runs a call, so more than this is more than seconds of work, or nobody's."""


def waits(facts: NamespaceFacts) -> list[Finding]:
    awaited = facts.awaited
    if awaited is None:
        return [unseen("waits", READ_REFUSED)]
    findings = []
    many = sorted(((n, name) for name, n in awaited.unindexed.items() if n > UNINDEXED_MANY), reverse=True)
    if many:
        seen = some([f"{name} ({number:,})" for number, name in many])
        mend = "Give the condition an equality, `event.data.x == async.data.x`, alone or with && beside the rest."
        findings.append(found("waits-not-indexed", f"waits that no equality finds: {seen}", mend))
    waited_ms = facts.now_ms - awaited.first_post_ms if awaited.first_post_ms else 0
    if awaited.posts and waited_ms > UNDELIVERED_MS:
        seen = f"{count(awaited.posts, 'event')} not delivered, the oldest of {format_ms(waited_ms)} ago"
        findings.append(found("deliveries-behind", seen, "Start a worker, or more of them; see waits-not-indexed."))
    if awaited.void > VOID_MANY:
        seen = f"{count(awaited.void, 'ended run')} not swept"
        mend = "Start `durableq scheduler`, or a worker with --with-scheduler; if one runs, see its log."
        findings.append(found("ended-not-swept", seen, mend))
    total = sum(awaited.unindexed.values())
    posts, void = count(awaited.posts, "event"), count(awaited.void, "ended run")
    seen = f"{total:,} that no index finds, {posts} to deliver, {void} to sweep"
    return findings or [in_order("waits", seen)]
