"""Decides about the namespace and who works in it: identity, workers, functions, runs in hand, events, releases."""

from __future__ import annotations

from typing import Final

from durableq.services.doctor.amounts import count, since, some
from durableq.services.doctor.facts import FunctionFacts, NamespaceFacts, Plan
from durableq.services.doctor.finding import Finding, found, in_order, unseen
from durableq.services.doctor.of_time import READ_REFUSED
from durableq.store.calls import SCHEMA
from durableq.store.leases import LEASE_MS, RENEW_EVERY_S
from durableq.words.periods import format_ms

MISSED_MS: Final = LEASE_MS - int(3 * RENEW_EVERY_S * 1000)
"""What is left of a lease when three renewals were missed."""
STUCK_MS: Final = 900_000
UNROUTED_MS: Final = 10_000
START_A_WORKER: Final = "Start a worker of the app: `durableq worker MODULE:APP`."


def namespace(facts: NamespaceFacts) -> list[Finding]:
    if facts.meta is None:
        return [unseen("namespace", READ_REFUSED)]
    if not facts.exists:
        if facts.traces:
            mend = "Restore it from a backup; or delete what is left (keys beginning with dq:{…}) and start anew."
            return [found("identity-missing", f"namespace {facts.name!r} has keys and no identity", mend)]
        mend = "If it should not be new, look at the URL (server, database) and --namespace."
        return [found("namespace-new", f"namespace {facts.name!r} is not in use", mend)]
    schema = facts.stamp("schema")
    if schema != SCHEMA:
        seen = f"it is of schema {schema}; this release reads {SCHEMA}"
        return [found("unknown-schema", seen, "Run the release that wrote it, or use another namespace.")]
    age = since(facts.stamp("created_at_ms"), facts.now_ms)
    identity = (facts.meta or {})["identity"]
    return [in_order("namespace", f"{facts.name!r}, identity {identity}, schema {schema}, {age} old")]


def workers(facts: NamespaceFacts) -> list[Finding]:
    if facts.leases is None:
        return [unseen("workers", READ_REFUSED)]
    if not facts.leases:
        return [found("no-workers", "no worker is alive", START_A_WORKER)]
    late = [lease for lease in facts.leases if lease.expires_at_ms - facts.now_ms < MISSED_MS]
    if late:
        names = some([f"{lease.worker} ({count(lease.in_hand, 'run')})" for lease in late])
        mend = "Look at that worker and its way to Redis. A scheduler must run for the runs to be made ready."
        return [found("lease-not-renewed", f"{count(len(late), 'lease')} not renewed in time: {names}", mend)]
    in_hand = sum(lease.in_hand for lease in facts.leases)
    processes = count(len(facts.leases), "worker process", "worker processes")
    return [in_order("workers", f"{processes}, {count(in_hand, 'run')} in hand")]


def functions(facts: NamespaceFacts) -> list[Finding]:
    if facts.functions is None:
        return [unseen("functions", READ_REFUSED)]
    findings = []
    stranded = [function for function in facts.functions if function.queued and not function.workers]
    if stranded:
        queued = sum(function.queued for function in stranded)
        names = some([f"{function.id} ({function.queued:,})" for function in stranded])
        findings.append(found("queue-without-worker", f"{count(queued, 'run')} queued: {names}", START_A_WORKER))
    idle = [f.id for f in facts.functions if f.registered and not f.workers and not f.queued]
    if idle and facts.leases:
        mend = f"{START_A_WORKER} Look also at --only and --except; a retired function goes after 10 minutes."
        findings.append(found("function-without-worker", some(idle), mend))
    findings += _faults(facts.functions)
    queued = sum(function.queued for function in facts.functions)
    waiting = sum(function.waiting for function in facts.functions)
    seen = f"{count(len(facts.functions), 'function')}, {count(queued, 'run')} queued, {waiting:,} waiting"
    return findings or [in_order("functions", seen)]


def _faults(functions: tuple[FunctionFacts, ...]) -> list[Finding]:
    faulty = [function for function in functions if function.faults]
    if not faulty:
        return []
    worst = max(faulty, key=lambda function: function.faults)
    seen = f"{some([f'{f.id} ({f.faults:,})' for f in faulty])}; the last of {worst.id}: {worst.last_fault}"
    return [found("trigger-faults", seen, "Correct the condition (if_), or what producers send.")]


def runs(facts: NamespaceFacts) -> list[Finding]:
    if facts.leases is None or facts.functions is None:
        return [unseen("runs", READ_REFUSED)]
    findings = []
    still = sorted((p for p in facts.progress if facts.now_ms - p.at_ms > STUCK_MS), key=lambda p: p.at_ms)
    if still:
        names = some([f"{p.function} {p.run} for {since(p.at_ms, facts.now_ms)}" for p in still], 3)
        mend = "See `durableq runs show ID` and the worker's log; give the step a timeout (step.options(timeout=…))."
        findings.append(found("run-without-progress", f"nothing recorded: {names}", mend))
    if facts.suspects:
        names = some([f"{app} ({number:,})" for app, number in sorted(facts.suspects.items())])
        mend = "See the worker's log (child.died) for what kills it: memory, a crash in a library, os._exit."
        findings.append(found("suspects-waiting", f"runs suspected of killing their worker: {names}", mend))
    return findings or [in_order("runs", f"none in hand without progress for {format_ms(STUCK_MS)}, no suspects")]


def events(facts: NamespaceFacts) -> list[Finding]:
    if facts.meta is None or facts.set_aside is None:
        return [unseen("events", READ_REFUSED)]
    findings = []
    behind = max(0, facts.stamp("sent") - facts.stamp("routed"))
    waited_ms = facts.now_ms - facts.first_unrouted_ms if facts.first_unrouted_ms else 0
    if behind and waited_ms > UNROUTED_MS:
        seen = f"{count(behind, 'event')} not routed, the oldest for {format_ms(waited_ms)}"
        mend = "Start a worker, or more of them; while the memory gate is closed events wait by design."
        findings.append(found("events-not-routed", seen, mend))
    aside, reason = facts.set_aside
    if aside:
        seen = f"{count(aside, 'event')} set aside, the last for: {reason}"
        findings.append(
            found("events-set-aside", seen, "See event.set_aside in the log; mend the cause and send them again.")
        )
    return findings or [
        in_order("events", f"{facts.stamp('sent'):,} accepted, {behind:,} not routed yet, none set aside")
    ]


def releases(facts: NamespaceFacts) -> list[Finding]:
    if facts.leases is None or facts.functions is None:
        return [unseen("releases", READ_REFUSED)]
    findings = []
    for app, numbers in sorted(facts.releases.items()):
        alive = sorted({lease.release for lease in facts.leases if app in lease.apps})
        newest = next((name for name, number in numbers.items() if name and number == numbers.get("")), "")
        if len(alive) > 1:
            seen = f"{app}: {some([f'{name} (newest)' if name == newest else name for name in alive])}"
            findings.append(found("several-releases", seen, "If no deploy is under way, stop the older workers."))
        if alive and newest and newest not in alive:
            seen = f"{app}: the newest is {newest}, alive are {some(alive)}"
            mend = "Start workers of the newest release; or, after a rollback, make the older one the newest: `durableq sync`."
            findings.append(found("newest-release-absent", seen, mend))
    return findings or [
        in_order("releases", f"{count(len(facts.releases), 'app')}, one release each among the workers")
    ]


def apps(facts: NamespaceFacts, plan: Plan) -> list[Finding]:
    """The apps that were named, against what is registered."""
    findings = []
    for app, declared in sorted(plan.declared.items()):
        known = {
            full_id.partition("/")[2]: blob
            for full_id, blob in facts.declared.items()
            if full_id.partition("/")[0] == app
        }
        if not known:
            mend = "Start a worker of it, or run `durableq sync`."
            findings.append(found("app-not-registered", f"{app}: nothing of it is registered", mend))
            continue
        new = sorted(set(declared) - set(known))
        changed = sorted(name for name in set(declared) & set(known) if declared[name] != known[name])
        gone = sorted(set(known) - set(declared))
        parts = [
            f"{word} {some(names)}" for word, names in (("new", new), ("changed", changed), ("gone", gone)) if names
        ]
        if parts:
            mend = "Deploy this code (workers, or `durableq sync`), or check out the code that is deployed."
            findings.append(found("app-differs", f"{app}: {'; '.join(parts)}", mend))
    return findings or [in_order("apps", f"{some(sorted(plan.declared))} as registered")]
