"""The judge: whether each run ended as what was done to it allows, once, and nothing was done to it afterwards.

What was done is read from Redis' own stream of events, which has their order, and from what the driver's calls were answered.
`Judge(...).violations()` gives a line for each thing that must not be:

 1. Each accepted trigger has one run, each invoke one child; nothing else has a run. All of them are final.
 2. A wait was ended once: by the first event behind the run's place, or the wait's before it, that matches; or by its timeout,
    not before its time, and not although a match had been accepted long enough before (MARGIN_MS).
 3. What a run returned is what its waits were ended by. It failed if an answer said so, and only then.
 4. A run is cancelled only by an event, a client, a timeout or a parent that did so; and is, wherever one did. Nothing was
    recorded of it afterwards, and no body began that knew of it.
 5. A child that a failed or cancelled run awaited is final soon after; one that ends answers its parent.
 6. `function.cancelled` was written once of each cancelled run, and started one run of the witness; each failed run has one
    run of its on_failure.
 7. A handle was given what its run came to.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from durableq.model.event import decode_event
from durableq.model.failure import Failure
from durableq.model.memo import MemoKind
from durableq.model.run import FINAL, State
from durableq.store.reads import RunDetails
from durableq.words import codec
from durableq.words.ids import step_key
from tests.chaos.account import is_condemned
from tests.ledger import cases
from tests.ledger.cases import Case
from tests.ledger.entries import Arrived, Entries, place_of
from tests.ledger.names import ANNOUNCED, ANSWERED, APP_ID, CANCELLED, FINISH_S, matches

MARGIN_MS = 25_000
"""How late something may take effect: all that could deliver it may be frozen, dead, or without Redis for a while."""

FAILURE_SUFFIX = ":on-failure"
Place = tuple[int, int]


class Judge:
    """One ledger's runs, and everything that is known of them."""

    def __init__(
        self, started: Sequence[Case], runs: Sequence[RunDetails], places: Mapping[str, Place], entries: Entries
    ) -> None:
        """`places` has, per run, from where on it sees events."""
        self._entries = entries
        self._places = places
        self._runs = {run.row.id: run for run in runs}
        self._data = {run.row.id: decode_event(run.input, "0-0").data for run in runs}
        self._case_of = {run_id: case for case in started for run_id in case.runs}
        self._cases = started
        self._arrived: dict[tuple[str, Any], list[Arrived]] = defaultdict(list)
        for name in (ANSWERED, ANNOUNCED, CANCELLED):
            for event in entries.by_name[name]:
                self._arrived[name, event.data["low" if name == ANNOUNCED else "key"]].append(event)
        self._children = {run.row.id: run for run in runs if _program(run) in ("child", "child-def")}

    def violations(self) -> list[str]:
        """A line for each."""
        found = [*self._wrong_runs(), *self._wrong_echoes()]
        for run in self._runs.values():
            if _program(run).startswith("witness") or _program(run).endswith(FAILURE_SUFFIX):
                if run.row.state is not State.COMPLETED and not is_condemned(run):
                    found.append(f"{_name(run)} is {run.row.state.label}")
                continue
            found += [f"{self._shown(run)}: {problem}" for problem in self._wrong_ends(run)]
        return found

    def outcomes(self) -> Counter[str]:
        """How many runs ended in which way."""
        return Counter(self._outcome(run) for run in self._runs.values())

    # --- 1 and 6: which runs there are

    def _wrong_runs(self) -> Iterator[str]:
        for case in self._cases:
            for run_id in case.runs:
                if run_id not in self._runs:
                    yield f"a trigger of case {case.number} ({case.plan}, {case.program}) has no run {run_id}"
        parents = Counter(self._data[child]["parent"] for child in self._children)
        for parent, count in parents.items():
            if count > 1 or parent not in self._runs:
                yield f"run {parent} has {count} children for one step"
        known = set(self._case_of) | set(self._children)
        for run in self._runs.values():
            program = _program(run)
            if run.row.id not in known and program != "witness" and not program.endswith(FAILURE_SUFFIX):
                yield f"{_name(run)} was started by nobody"

    def _wrong_echoes(self) -> Iterator[str]:
        seen, mourned = Counter[str](), Counter[tuple[str, str]]()
        for run in self._runs.values():
            if _program(run) == "witness":
                seen[self._data[run.row.id]["run_id"]] += 1
            elif _program(run).endswith(FAILURE_SUFFIX):
                mourned[self._data[run.row.id]["run_id"], _program(run)] += 1
        for run in self._runs.values():
            run_id, state, program = run.row.id, run.row.state, _program(run)
            if program == "witness" or program.endswith(FAILURE_SUFFIX):
                continue
            wanted = int(state is State.CANCELLED)
            if seen[run_id] != wanted:
                yield f"{self._shown(run)}: {seen[run_id]} runs were started by its function.cancelled"
            if self._entries.references["x", run_id] != wanted:
                yield f"{self._shown(run)}: {self._entries.references['x', run_id]} function.cancelled were written"
            wanted = int(state is State.FAILED)
            if mourned[run_id, program + FAILURE_SUFFIX] != wanted:
                yield f"{self._shown(run)}: {mourned[run_id, program + FAILURE_SUFFIX]} runs of its on_failure"

    # --- 2 to 5: how one ended

    def _wrong_ends(self, run: RunDetails) -> Iterator[str]:
        state = run.row.state
        if state not in FINAL:
            yield f"is stuck: {state.label}"
            return
        last = max((memo.at_ms for memo in run.memos.values()), default=0)
        if last > run.row.ended_at_ms:
            yield f"recorded something {last - run.row.ended_at_ms} ms after its end"
        yield from self._wrong_waits(run)
        if state is State.CANCELLED:
            if not self._was_cancelled(run):
                yield f"was cancelled, and nobody did so: {_why(run)}"
        else:
            yield from self._wrongly_alive(run)
        if state is State.COMPLETED:
            yield from self._wrong_result(run)
        elif state is State.FAILED and not is_condemned(run) and not self._said(run, "fail"):
            yield f"failed, and no answer said so: {run.output[:200]!r}"
        if run.row.id in self._children:
            yield from self._wrong_child(run)
        case = self._case_of.get(run.row.id)
        for deed in case.deeds if case else ():
            if deed.outcomes.get(run.row.id) == cases.DELIVERED and deed.mark not in self._said(run, "mark"):
                yield f"the sender of signal {deed.mark} was told that this run has it"
        if case is not None and case.outside:
            yield from self._wrong_handle(run, case.results.get(run.row.id))

    def _wrong_waits(self, run: RunDetails) -> Iterator[str]:
        place = self._places[run.row.id]
        name = ANNOUNCED if _program(run).startswith("ranged") else ANSWERED
        for key in _wait_keys(run):
            memo = run.memos.get(key)
            if memo is None or memo.kind is MemoKind.AWAITING:
                return
            first = next((event for event in self._matching(run, name) if event.place > place), None)
            if memo.kind is MemoKind.TIMED_OUT:
                due_at_ms = codec.decode(memo.blob)["due"]
                if memo.at_ms < due_at_ms:
                    yield f"timed out {due_at_ms - memo.at_ms} ms too early"
                if first is not None and first.at_ms < memo.at_ms - MARGIN_MS:
                    yield f"timed out, although an answer had been accepted {memo.at_ms - first.at_ms} ms before"
            elif memo.kind is MemoKind.MATCHED:
                found = place_of(memo.blob.partition(b" ")[0].decode())
                if first is None or found != first.place:
                    yield f"was answered by {found}, and not by the first that matches, {first and first.place}"
                place = found

    def _was_cancelled(self, run: RunDetails) -> bool:
        """Whether somebody did what its end says."""
        why, case, ended_ms = _why(run), self._case_of.get(run.row.id), run.row.ended_at_ms
        if CANCELLED in why:
            return any(event.at_ms <= ended_ms for event in self._cancels(run))
        if "awaited it" in why:
            parent = self._runs.get(self._data[run.row.id].get("parent", ""))
            return (
                parent is not None
                and parent.row.state in (State.CANCELLED, State.FAILED)
                and parent.row.ended_at_ms <= ended_ms
            )
        if "(timeouts)" in why:
            return _program(run).startswith("hurried") and ended_ms - run.row.begun_at_ms >= FINISH_S * 1000
        deeds = [deed for deed in case.deeds if deed.what in cases.BY_NAME] if case else []
        return any(deed.began_ms - 1 <= ended_ms and (deed.unsure or ended_ms <= deed.ended_ms) for deed in deeds)

    def _wrongly_alive(self, run: RunDetails) -> Iterator[str]:
        """It was not cancelled: should it have been?"""
        case, ended_ms = self._case_of.get(run.row.id), run.row.ended_at_ms
        for event in self._cancels(run):
            if event.at_ms < ended_ms - MARGIN_MS:
                yield f"went on for {ended_ms - event.at_ms} ms after an event that cancels it"
        if _program(run).startswith("hurried") and ended_ms - run.row.begun_at_ms > FINISH_S * 1000 + MARGIN_MS:
            yield f"finished {ended_ms - run.row.begun_at_ms} ms after it began, in spite of its timeout"
        for deed in case.deeds if case else ():
            if deed.what in cases.BY_NAME and deed.ended_ms and deed.began_ms < ended_ms - MARGIN_MS:
                yield f"went on for {ended_ms - deed.began_ms:.0f} ms after it was cancelled by name"
            if deed.outcomes.get(run.row.id) == State.CANCELLED.label:
                yield f"is {run.row.state.label}, and a client was told that it is cancelled"

    def _wrong_result(self, run: RunDetails) -> Iterator[str]:
        result = codec.decode(run.output)
        by = result["by"]
        program = _program(run)
        if self._said(run, "fail") and by != "sleep":
            yield f"completed, although an answer said that it shall fail: {result}"
        if program.startswith("invoke"):
            yield from self._wrong_answer_of_child(run, result)
            return
        memos = [run.memos[key] for key in _wait_keys(run) if key in run.memos]
        if by == "sleep":
            nap = run.memos.get(step_key("nap", 0))
            if nap is None or any(0 < memo.number < nap.number for memo in memos):
                yield f"says that its sleep was first: {nap}, {memos}"
            return
        kinds = {memo.kind for memo in memos}
        wanted = {MemoKind.DATA} if program.startswith("signal") else {MemoKind.MATCHED}
        if (by == "answer" and kinds != wanted) or (by == "timeout" and MemoKind.TIMED_OUT not in kinds):
            yield f"returned {result}, its waits have {kinds}"
        if result["marks"] != self._said(run, "mark"):
            yield f"returned {result}, its waits have {self._said(run, 'mark')}"

    def _wrong_answer_of_child(self, run: RunDetails, result: dict[str, Any]) -> Iterator[str]:
        child = next((c for c in self._children.values() if self._data[c.row.id]["parent"] == run.row.id), None)
        memo = run.memos.get(step_key("child", 0))
        if child is None or memo is None:
            yield f"returned {result} without a child or its end"
            return
        state, by = child.row.state, result["by"]
        if memo.kind is MemoKind.TIMED_OUT:
            if by != "invoke timeout" or memo.at_ms < codec.decode(memo.blob)["due"]:
                yield f"returned {result}, the time of its invoke was over at {memo.at_ms}"
        elif memo.kind is MemoKind.DATA:
            if state is not State.COMPLETED or codec.decode(child.output) != result:
                yield f"returned {result}, its child {state.label} {child.output!r}"
        elif by != f"child {state.label}":
            yield f"returned {result}, its child is {state.label}"

    def _wrong_child(self, run: RunDetails) -> Iterator[str]:
        parent = self._runs.get(self._data[run.row.id]["parent"])
        if parent is None or parent.row.state not in FINAL:
            return
        late_ms = run.row.ended_at_ms - parent.row.ended_at_ms
        if parent.row.state is State.COMPLETED or run.row.state is State.CANCELLED:
            if "awaited it" in _why(run) and late_ms > MARGIN_MS:
                yield f"was cancelled {late_ms} ms after its parent's end"
        elif late_ms > MARGIN_MS:
            yield f"is {run.row.state.label}, {late_ms} ms after its parent was {parent.row.state.label}"

    def _wrong_handle(self, run: RunDetails, brought: Any) -> Iterator[str]:
        state = run.row.state
        wanted: Any = state.label
        if state is State.COMPLETED:
            wanted = codec.decode(run.output)
        elif state is State.FAILED:
            wanted = f"failed {_failure_name(run)}"
        if brought != wanted:
            yield f"its handle brought {brought!r}"

    # --- what is known of one

    def _matching(self, run: RunDetails, name: str) -> Iterable[Arrived]:
        own = self._data[run.row.id]
        value = own.get("number") if name == ANNOUNCED else own["key"]
        found = self._arrived[name, value]
        assert all(matches(name, own, event.data) for event in found)
        return found

    def _cancels(self, run: RunDetails) -> list[Arrived]:
        place = self._places[run.row.id]
        return [event for event in self._matching(run, CANCELLED) if event.place > place]

    def _said(self, run: RunDetails, what: str) -> Any:
        """What the answers that ended its waits say: every `mark`, or whether any says `fail`."""
        answers = []
        for key in _wait_keys(run):
            memo = run.memos.get(key)
            if memo is not None and memo.kind is MemoKind.MATCHED:
                answers.append(decode_event(memo.blob.partition(b" ")[2], "0-0").data)
            elif memo is not None and memo.kind is MemoKind.DATA:
                answers.append(codec.decode(memo.blob))
        if what == "fail":
            return any(answer.get("fail") for answer in answers)
        return [answer[what] for answer in answers]

    def _outcome(self, run: RunDetails) -> str:
        program, state = _program(run), run.row.state
        sort = "child" if run.row.id in self._children else "run"
        if program == "witness":
            return "witness"
        if program.endswith(FAILURE_SUFFIX):
            return "on_failure"
        if state is State.COMPLETED:
            return f"{sort} completed, by {codec.decode(run.output)['by']}"
        if state is State.FAILED:
            return f"{sort} failed, {'killed thrice' if is_condemned(run) else 'as told'}"
        if state is State.CANCELLED:
            why = _why(run)
            by = next((by for sign, by in SIGNS.items() if sign in why), "a client")
            return f"{sort} cancelled, by {by}"
        return f"{sort} STUCK, {state.label}"

    def _shown(self, run: RunDetails) -> str:
        case = self._case_of.get(run.row.id) or self._case_of.get(self._data[run.row.id].get("parent", ""))
        return f"{_name(run)} of case {case.number} ({case.plan})" if case else _name(run)


SIGNS = {CANCELLED: "cancel_on", "awaited it": "its parent", "(timeouts)": "a timeout"}
"""What a cancelled run's reason has in it, and what that is."""


def _program(run: RunDetails) -> str:
    return run.row.function.removeprefix(f"{APP_ID}/")


def _name(run: RunDetails) -> str:
    return f"{_program(run)} {run.row.id}"


def _wait_keys(run: RunDetails) -> list[str]:
    return [step_key("answer", place) for place in range(3 if _program(run).startswith("loop") else 1)]


def _why(run: RunDetails) -> str:
    return run.output.decode("utf-8", "replace") if run.row.state is State.CANCELLED else ""


def _failure_name(run: RunDetails) -> str:
    if run.output[:1] == b"T":
        return run.output[1:].decode().partition("\n")[0]
    return Failure.from_map(codec.decode(run.output)).name
