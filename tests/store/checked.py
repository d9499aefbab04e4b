"""Scripts called one by one, with everything stored compared before and after each: the machine's judge.

It knows the verbs only by their headers and by TRANSITIONS, so whatever a test sends (a late copy, a stale holder, a
wrong epoch), it can say whether what happened was allowed.
"""

from __future__ import annotations

from typing import Any

import redis

from durableq.model.run import TRANSITIONS
from durableq.store.keys import Keys
from durableq.store.scripts import load_scripts
from tests.store.flowing import GATE, limit_of
from tests.store.invariants import EXPIRES, forbidden_changes, violations
from tests.store.stored import Stored, read_stored_of

SCRIPTS = load_scripts()
IDENTITY = "identity"
ALLOWED = {
    (row.before and row.before.value, row.verb, after and after.value) for row in TRANSITIONS for after in row.after
}
OF_HOLDERS = (
    "await_events", "await_signals", "invoke_runs",
    "record_steps", "record_waits", "fire_waits", "suspend_runs", "retry_runs", "finish_runs", "release_runs", "leave_slots",
)  # fmt: skip
"""Scripts whose items begin with (run, epoch), of the lease in the first argument."""


class Checked:
    """One namespace on a server. `call` performs a script and fails if anything forbidden came of it."""

    def __init__(self, client: redis.Redis, namespace: str) -> None:
        self.client = client
        self.keys = Keys(namespace)
        self.now_ms = 2_000_000_000_000
        self.log: list[tuple[str, tuple[Any, ...]]] = []
        self.stored = self._read()
        self.call("open_namespace", IDENTITY, 1)

    def call(self, name: str, *args: Any) -> Any:
        """The reply, or the error's code as a str."""
        self.log.append((name, args))
        before = self.stored
        reply = self._send(name, args)
        self.stored = self._read()
        for found in (
            violations(self.stored),
            forbidden_changes(before, self.stored),
            self._transitions(before, name),
            self._foreign_keys(before, name),
            self._guards(before, name, args, reply),
            self._limits(before),
            self._names_are_kept(before, name, args),
        ):
            assert not found, f"after {name}{args} -> {reply!r}:\n" + "\n".join(found)
        return reply

    def arrange(self, name: str, *args: Any) -> Any:
        """The reply, unjudged: for getting to where a test begins. `call` judges from there, once `look` was called."""
        return self._send(name, args)

    def look(self) -> Stored:
        """Read what is stored, and fail if it breaks an invariant."""
        self.stored = self._read()
        found = violations(self.stored)
        assert not found, "\n".join(found)
        return self.stored

    def run(self, run: str) -> dict[str, str]:
        found: dict[str, str] = self.stored.of("run", run)
        return found

    def _send(self, name: str, args: tuple[Any, ...]) -> Any:
        script = SCRIPTS[name]
        given = (1, self.keys.base, IDENTITY, str(self.now_ms), *args)
        error = None
        try:
            return self.client.evalsha(script.sha, *given)
        except redis.exceptions.NoScriptError:
            pass
        except redis.exceptions.ResponseError as answered:
            error = answered
        if error is None:
            try:
                return self.client.eval(script.text, *given)
            except redis.exceptions.ResponseError as answered:
                error = answered
        code = str(error).partition(" ")[0]
        assert code in script.header.errors, f"{name} answered {error}, its header names {script.header.errors!r}"
        return code

    def _read(self) -> Stored:
        return read_stored_of(self.client, self.keys.base)

    def _transitions(self, before: Stored, verb: str) -> list[str]:
        found = []
        runs = {run for run, _ in before.family("run")} | {run for run, _ in self.stored.family("run")}
        for run in runs:
            old, new = before.of("run", run).get("s"), self.run(run).get("s")
            if old != new and (old, verb, new) not in ALLOWED:
                found.append(f"TRANSITIONS has no row for {verb}: {old} -> {new} (run {run})")
        return found

    def _foreign_keys(self, before: Stored, name: str) -> list[str]:
        # What expires may go at any time.
        extra = before.changed(self.stored) - set(SCRIPTS[name].header.keys) - set(EXPIRES)
        return [f"{name} changed {key}, which its header does not name" for key in sorted(extra)]

    def _limits(self, before: Stored) -> list[str]:
        """25: whatever takes a slot finds room for it."""
        found = []
        for pool, runs in self.stored.family("slots"):
            came = runs - before.of("slots", pool)
            # Functions that share a pool compare its count each with their own number.
            limits = [
                limit_of(self.stored, self.run(run)["f"], kind, ordinal)
                for run in came
                for kind, ordinal, named in GATE.findall(self.run(run).get("j", ""))
                if named == pool
            ]
            if limits and len(runs) > max(limits):
                found.append(f"25 {sorted(came)} took slots of {pool}, which has {sorted(runs)} now")
        return found

    def _names_are_kept(self, before: Stored, name: str, args: tuple[Any, ...]) -> list[str]:
        """16: a signal that a pending wait has is taken over only by who asks for that."""
        if name != "await_signals":
            return []
        kept = {args[at + 7] for at in range(1, len(args), 9)} - {
            args[at + 7] for at in range(1, len(args), 9) if args[at + 8] == 1
        }
        found = []
        for signal in kept & before.of("signals").keys():
            owner = before.of("signals")[signal]
            living = before.of("run", owner.split(" ")[0]).get("s", "?") in "qrw"
            if living and self.stored.of("signals").get(signal) != owner:
                found.append(f"16 {signal!r} was {owner}'s, and is {self.stored.of('signals').get(signal)}'s")
        return found

    def _guards(self, before: Stored, name: str, args: tuple[Any, ...], reply: Any) -> list[str]:
        if name not in OF_HOLDERS:
            return []
        lease = args[0]
        if lease not in before.of("leases"):
            nothing = before.changed(self.stored) == set()
            return [] if (reply, nothing) == ("LEASE_LOST", True) else [f"12 a dead lease wrote, or was told {reply!r}"]
        width, first = len(SCRIPTS[name].header.items), len(SCRIPTS[name].header.args)
        items = [args[at : at + width] for at in range(first, len(args), width)]
        found = []
        for (run, epoch, *rest), answer in zip(items, reply[1], strict=True):
            v = before.of("run", run)
            if (v.get("s"), v.get("l"), int(v.get("n", 0))) == ("r", lease, epoch):
                if name == "suspend_runs" and int(v.get("q", 0)) > rest[0] and self.run(run).get("s") != "r":
                    found.append(f"4 {run} was put to sleep with results that its holder has not seen ({v}, {rest[0]})")
                continue
            if answer != b"STALE":
                found.append(f"6 {run} {epoch} is not in hand of {lease} ({v}), and was answered {answer!r}")
            if v != self.run(run) or before.of("steps", run) != self.stored.of("steps", run):
                found.append(f"6 a stale holder changed {run}: {v} -> {self.run(run)}")
        return found
