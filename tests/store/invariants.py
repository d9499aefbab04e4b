"""The numbered invariants of model/run.py, checked over everything that a namespace holds.

`assert_invariants(calls)` is for any test with a live server, acceptance tests too: it reads the whole namespace in one
act and fails with a line per violation. `forbidden_changes` compares two moments: what must only grow or never change.

When an invariant is added to run.py: a check here, called from `violations`, with its number in the text.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator
from typing import Any

from durableq.model.run import DEATHS_BEFORE_ALONE, FINAL, State
from durableq.store.calls import Calls
from durableq.store.keys import BY_NAME
from tests.store.flowing import flow_violations, gates_of, lane_of
from tests.store.stored import Stored, read_stored

STATES = {state.value for state in State}
FINALS = {state.value for state in FINAL}
RUN_FIELDS = set("sfcbelnqadmtxopkuyjvr")
OF_A_RUN = ("input", "steps", "history", "news", "output", "listens", "watchers")
OF_A_LEASE = ("lease", "held", "inbox", "leaving")
OF_AN_APP = ("functions", "deployments", "absent", "timeouts", "flow", "paused", "skipped")
OF_A_NAME = ("recent", "post")
EXPIRES = ("seen", "answer", "answers", "once", "rate", "tat")
OF_NO_WAIT = "dbf"
"""Timers of a run, not of a step: a delayed start or backoff, and by when to begin and to finish."""
OF_FLOW = "TGDBXS"
"""Timers of flow control: of a gate, a function, a debounce, a batch, a displaced run."""
BELLS = ("event_bell", "timer_bell", "bell")


async def assert_invariants(calls: Calls) -> Stored:
    """Fail unless everything stored keeps every invariant. Returns what is stored."""
    stored = await read_stored(calls)
    found = violations(stored)
    assert not found, "\n".join(found)
    return stored


def violations(stored: Stored) -> list[str]:
    """A line for each violation, beginning with the number of the invariant."""
    return [
        *_keys_are_known(stored),
        *_runs_are_where_their_state_says(stored),
        *_indexes_name_only_their_runs(stored),
        *_timers_belong_to_somebody(stored),
        *_results_are_numbered(stored),
        *_everything_has_an_owner(stored),
        *_counts_agree(stored),
        *_crons_tick(stored),
        *_waits_are_filed(stored),
        *_names_count_what_is_filed(stored),
        *_posts_are_counted(stored),
        *flow_violations(stored),
    ]


def forbidden_changes(before: Stored, after: Stored) -> list[str]:
    """What may never happen between two moments of one namespace."""
    found = []
    for run, was in before.family("run"):
        now = after.of("run", run)
        if not now:
            if was["s"] not in FINALS:
                found.append(f"1 run {run} was {was['s']} and is gone")
            continue
        # `r` names the newest run that does it again.
        if was["s"] in FINALS and {**now, "r": ""} != {**was, "r": ""}:
            found.append(f"1 final run {run} changed: {was} -> {now}")
        if int(now.get("n", 0)) not in (int(was.get("n", 0)), int(was.get("n", 0)) + 1):
            found.append(f"6 epoch of {run}: {was.get('n')} -> {now.get('n')}")
        if int(now.get("q", 0)) < int(was.get("q", 0)):
            found.append(f"8 numbers of {run} went back: {was.get('q')} -> {now.get('q')}")
        for key, memo in before.of("steps", run).items():
            if is_result(memo) and after.of("steps", run).get(key) != memo:
                found.append(f"7 result {key} of {run}: {memo!r} -> {after.of('steps', run).get(key)!r}")
        found += _answered_too_early(before, after, run)
        if was["s"] not in FINALS and now["s"] == "x":
            found += _cancelled_too_early(before, after, run)
    for trigger, was in before.family("cron"):
        now = after.of("cron", trigger)
        if now and int(now["upto"]) < int(was["upto"]):
            found.append(f"15 the ticks of {trigger} went back: {was['upto']} -> {now['upto']}")
    old, new = before.of("meta"), after.of("meta")
    if old and entry_order(new["routed_upto"]) < entry_order(old["routed_upto"]):
        found.append(f"10 routed_upto went back: {old['routed_upto']} -> {new['routed_upto']}")
    return found


def _answered_too_early(before: Stored, after: Stored, run: str) -> list[str]:
    """20: an event answers a wait that was filed before it was routed, and whose place is before it."""
    found = []
    for key, memo in after.of("steps", run).items():
        number, _, kind = _head(memo)
        was = before.of("steps", run).get(key)
        if kind != "m" or number == 0 or was == memo or was is None:
            continue
        entry = _text_of(memo).split(" ")[3]
        bucket, ticket = filed_of(was).split(" ")[:2]
        (place,) = [
            member.split(" ")[3] for member, score in before.of("waits", bucket).items() if score == int(ticket)
        ]
        if entry_order(entry) <= entry_order(place):
            found.append(f"20 {key} of {run}, whose place is {place}, was answered with {entry}")
        heads = [_text_of(entries[0]).split(" ")[:2] for _, entries in before.family("post")]
        if not any(head == entry and int(ticket) <= int(bound) for head, bound in heads):
            found.append(
                f"20 {key} of {run}, ticket {ticket}, was answered with {entry}; first of their posts: {heads}"
            )
    return found


def _cancelled_too_early(before: Stored, after: Stored, run: str) -> list[str]:
    """20: an event cancels a run of which a listener was filed, with a place before it."""
    why = _text_of(after.of("output", run))
    if not why.startswith("TRunCancelled\nevent "):
        return []
    places = [
        member.split(" ")[3]
        for _, members in before.family("waits")
        for member in members
        if member.startswith(f"x {run} ")
    ]
    heads = [_text_of(entries[0]).split(" ")[0] for _, entries in before.family("post")]
    if any(entry_order(head) > entry_order(place) for head in heads for place in places):
        return []
    return [f"20 {run}, whose listeners have the places {places}, was cancelled; first of the posts: {heads}"]


def _text_of(raw: str | bytes) -> str:
    return raw if isinstance(raw, str) else raw.decode("latin-1")


def is_result(memo: str | bytes) -> bool:
    """Whether a stored memo is a result: it took a number, and is no retry's delay that has ended."""
    number, _, kind = _head(memo)
    return number > 0 and kind != "r"


def entry_order(entry: str) -> tuple[int, int]:
    """Stream ids in their order."""
    ms, _, sequence = entry.partition("-")
    return int(ms), int(sequence)


def _head(memo: str | bytes) -> tuple[int, int, str]:
    text = memo if isinstance(memo, str) else memo.decode("utf-8", "replace")
    number, at_ms, kind, _ = text.split(" ", 3)
    return int(number), int(at_ms), kind[:1]


def _keys_are_known(stored: Stored) -> Iterator[str]:
    for key in stored.unknown:
        yield f"14 no row of keys.py has {key!r}"
    for item in stored.items.values():
        if item.kind != BY_NAME[item.name].redis_type:
            yield f"14 {item} is a {item.kind}"
        if (item.ttl_ms >= 0) != (item.name in EXPIRES):
            yield f"14 {item} has a lifetime of {item.ttl_ms} ms"


def _runs_are_where_their_state_says(stored: Stored) -> Iterator[str]:
    leases = stored.of("leases").keys() | stored.of("dead").keys()
    holders = defaultdict(set)
    for lease, members in stored.family("held"):
        for run in members:
            holders[run].add(lease)
    for run, v in stored.family("run"):
        state, function = v.get("s"), v.get("f", "")
        if state not in STATES or set(v) - RUN_FIELDS:
            yield f"1 run {run}: {v}"
            continue
        suspect = int(v.get("x", 0)) >= DEATHS_BEFORE_ALONE
        places = {
            "held": bool(holders[run]),
            "ready": run in stored.of("ready", function),
            "lane": run in stored.of("lane", lane_of(v)) and run in stored.of("gated", function),
            "suspects": run in stored.of("suspects", function.partition("/")[0]),
            "waiting": run in stored.of("waiting", function),
            **{f"done {final}": run in stored.of("done", f"{function}:{final}") for final in sorted(FINALS)},
        }
        due = {"q": "suspects" if suspect else "lane" if gates_of(v) else "ready", "r": "held", "w": "waiting"}.get(
            state, f"done {state}"
        )
        found = [place for place, there in places.items() if there]
        if found != [due]:
            number = {"r": 2, "q": 3, "w": 4}.get(state, 5)
            yield f"{number} run {run} is {state}, belongs in {due}, found in {found}"
        if state == "r" and (holders[run] != {v.get("l")} or v.get("l") not in leases):
            yield f"2 run {run} names lease {v.get('l')}, held by {sorted(holders[run])}, leases {sorted(leases)}"
        if (state == "r") != bool(v.get("l")):
            yield f"2 run {run} is {state} with lease {v.get('l')}"
        counted = "b" in v or state in FINALS or stored.of("input", run)[:1] == b"B"
        if (state in FINALS) != ("e" in v) or (counted != ("m" in v) and "v" not in v):
            yield f"5 run {run} is {state}: {v}"
        if "o" in v and (state != "r" or not stored.of("news", run)):
            yield f"14 run {run} is {state}, flag of news without news"
        if stored.of("news", run) and "o" not in v:
            yield f"7 run {run} is {state}, news without the flag: its holder would not be told"


def _indexes_name_only_their_runs(stored: Stored) -> Iterator[str]:
    places = ((2, "held", "r"), (3, "ready", "q"), (3, "suspects", "q"), (4, "waiting", "w"), (5, "done", "cfx"))
    for number, name, states in places:
        for argument, members in stored.family(name):
            for run in members:
                v = stored.of("run", run)
                belongs = {
                    "ready": v.get("f"),
                    "waiting": v.get("f"),
                    "suspects": v.get("f", "").partition("/")[0],
                    "held": v.get("l"),
                    "done": f"{v.get('f')}:{v.get('s')}",
                }
                if v.get("s", "?") not in states or argument != belongs[name]:
                    yield f"{number} {name}({argument}) has {run}: {v}"
    for function, members in stored.family("ready"):
        app, _, name = function.partition("/")
        if members and function not in stored.of("work", app) and name not in stored.of("paused", app):
            yield f"3 {function} has ready runs and is not in work: nobody would claim them"
    filled = {argument for argument, members in stored.family("done") if members}
    if stored.of("kept") != filled:
        yield f"5 kept is {stored.of('kept')}, the lists that are not empty are {filled}"


def _timers_belong_to_somebody(stored: Stored) -> Iterator[str]:
    counts: Counter[str] = Counter()
    for timer in stored.of("timers"):
        kind, run, *rest = timer.split(" ")
        if kind in OF_FLOW:
            continue
        if kind == "o":
            continue  # of a function, whose runs are told of new timeouts
        counts[run] += kind not in "bf"
        v = stored.of("run", run)
        if not v:
            yield f"9 timer {timer!r} of a run that is not there"
        elif v["s"] in FINALS:
            if run not in stored.of("void"):
                yield f"5 timer {timer!r} of a final run that is not in void"
        elif kind in "bf":
            if "t" not in v.get("k", ""):
                yield f"9 timer {timer!r} of a run whose k is {v.get('k')}: nothing would take it away"
        elif kind != "d":
            memo = stored.of("steps", run).get(rest[0])
            if memo is None or (_head(memo)[0], _head(memo)[2]) != (0, kind):
                yield f"9 timer {timer!r} goes with memo {memo!r}"
    for run, v in stored.family("run"):
        if v["s"] in FINALS:
            continue
        if int(v.get("t", 0)) != counts[run]:
            yield f"9 run {run} counts {v.get('t')} timers, there are {counts[run]}"
        if v["s"] == "w" and not counts[run]:
            yield f"4 run {run} waits and nothing will wake it: {v}"
        for key, memo in stored.of("steps", run).items():
            if _head(memo)[0] == 0 and f"{_head(memo)[2]} {run} {key}" not in stored.of("timers"):
                yield f"9 run {run} has the pending wait {key} without a timer"
    for run in stored.of("void"):
        if stored.of("run", run).get("s") not in FINALS:
            yield f"14 void has {run}, which is not final"


def _results_are_numbered(stored: Stored) -> Iterator[str]:
    for run, memos in stored.family("steps"):
        numbers = sorted(number for number, _, _ in map(_head, memos.values()) if number)
        last = int(stored.of("run", run).get("q", 0))
        if len(set(numbers)) != len(numbers) or (numbers and numbers[-1] > last):
            yield f"8 run {run} has numbers {numbers}, the last is {last}"
        retried = last - len(numbers)  # a retry's delay that ended took a number, which its step's result replaced
        if retried < 0:
            yield f"8 run {run} has {len(numbers)} numbered memos, the last number is {last}"


def _everything_has_an_owner(stored: Stored) -> Iterator[str]:
    runs = {run for run, _ in stored.family("run")}
    leases = stored.of("leases").keys() | stored.of("dead").keys()
    owners: dict[str, Any] = {
        **dict.fromkeys(OF_A_RUN, runs),
        **dict.fromkeys(OF_A_LEASE, leases),
        **dict.fromkeys(OF_AN_APP, stored.of("apps")),
        **dict.fromkeys(OF_A_NAME, stored.of("names")),
    }
    for item in stored.items.values():
        if item.name in owners and item.argument not in owners[item.name]:
            yield f"14 {item} has no owner"
        if item.name in BELLS and len(item.value) > 1:
            yield f"14 {item} has {len(item.value)} entries"
        if item.name in ("history", "aside") and len(item.value) > 1000:
            yield f"14 {item} has {len(item.value)} entries"
        if item.name == "inbox" and len(item.value) > 2000:
            yield f"14 {item} has {len(item.value)} entries"
        if item.name in ("steps", "history") and not stored.of("run", item.argument).keys() & set("qtx"):
            yield f"14 {item} would be left behind when its run is deleted"
        if item.name == "output" and stored.of("run", item.argument).get("s") not in FINALS:
            yield f"14 {item} of a run that is not final"
        if item.name == "absent" and not item.value.keys() <= stored.of("functions", item.argument).keys():
            yield f"14 {item} names functions that are not there"
    if stored.of("leases").keys() & stored.of("dead").keys():
        yield "12 a lease is living and dead"
    for lease in stored.of("leases"):
        alone = stored.of("lease", lease).get("alone")
        if not stored.of("lease", lease):
            yield f"12 living lease {lease} has no hash"
        if alone is not None and stored.of("held", lease) != {alone}:
            yield f"12 lease {lease} is alone with {alone} and holds {stored.of('held', lease)}"


def _counts_agree(stored: Stored) -> Iterator[str]:
    meta = stored.of("meta")
    if not meta:
        return
    kept = sum(int(v["m"]) for _, v in stored.family("run") if v["s"] in FINALS)
    if int(meta["kept_bytes"]) != kept:
        yield f"14 kept_bytes is {meta['kept_bytes']}, the finished runs sum to {kept}"
    behind = [entry for entry, _ in stored.of("events") if entry_order(entry) > entry_order(meta["routed_upto"])]
    if int(meta["sent"]) - int(meta["routed"]) != len(behind):
        yield f"10 sent {meta['sent']}, routed {meta['routed']}, {len(behind)} entries beyond {meta['routed_upto']}"


def _crons_tick(stored: Stored) -> Iterator[str]:
    known = stored.of("crons")
    hashes = dict(stored.family("cron"))
    if known.keys() != hashes.keys():
        yield f"15 crons has {sorted(known)}, there are hashes of {sorted(hashes)}"
    for trigger, fields in hashes.items():
        app, _, function = trigger.partition(" ")[0].partition("/")
        if not {"spec", "upto"} <= fields.keys():
            yield f"15 {trigger} is {fields}: nobody could tell its ticks"
        if function not in stored.of("functions", app):
            yield f"15 {trigger} is of a function that is not registered"
    for trigger, _ in stored.family("started"):
        if trigger not in known:
            yield f"14 started({trigger}) has no owner"


def filed_of(memo: str | bytes) -> str:
    """Where the memo of a pending wait says that it is filed."""
    number, _, kind, rest = (memo.encode() if isinstance(memo, str) else memo).split(b" ", 3)
    return rest[: int(kind[1:])].decode() if number == b"0" and len(kind) > 1 else ""


def _waits_are_filed(stored: Stored) -> Iterator[str]:
    """16, 17 and 21: memo, filing and what it is filed under agree, both ways."""
    filed: dict[str, tuple[str, str, str]] = {}
    for bucket, members in stored.family("waits"):
        for member, ticket in members.items():
            kind, run, key, *_ = member.split(" ")
            filed[f"{bucket} {ticket}"] = (kind, run, key)
    for place, (kind, run, key) in filed.items():
        state = stored.of("run", run).get("s")
        if state is None or (state in FINALS and run not in stored.of("void")):
            yield f"17 {place} is of run {run}, which is {state} and not in void"
        elif kind == "x" and not any(mine.startswith(f"{place} ") for mine in stored.of("listens", run)):
            yield f"17 listener {place} is not in listens({run})"
        elif kind == "v" and not filed_of(stored.of("steps", run).get(key, "1 0 d ")).startswith(f"{place} "):
            yield f"16 {place} is filed for {key} of {run}, whose memo is {stored.of('steps', run).get(key)!r}"
    for run, v in stored.family("run"):
        if v["s"] in FINALS:
            continue
        for key, memo in stored.of("steps", run).items():
            where, kind = filed_of(memo), _head(memo)[2]
            if _head(memo)[0] != 0:
                continue
            if kind == "v" and filed.get(" ".join(where.split(" ")[:2])) != ("v", run, key):
                yield f"16 {key} of {run} says {where!r}, where it is not filed"
            if kind == "g" and where and stored.of("signals").get(where) != f"{run} {key}":
                yield f"16 {key} of {run} waits for signal {where!r}, which {stored.of('signals').get(where)} has"
            child = stored.of("run", where) if kind == "i" else {}
            if kind == "i" and child.get("s", "") not in "qrw":
                yield f"21 {key} of {run} awaits {where}, which is {child.get('s')}"
            if kind == "i" and child and child.get("u") != f"{run} {key}":
                yield f"21 {key} of {run} awaits {where}, whose parent is {child.get('u')}"
        for place in stored.of("listens", run):
            if " ".join(place.split(" ")[:2]) not in filed:
                yield f"17 listens({run}) has {place!r}, which is not filed"
    for signal, owner in stored.of("signals").items():
        run, key = owner.split(" ")
        v = stored.of("run", run)
        if v.get("s", "?") in FINALS and run in stored.of("void"):
            continue
        memo = stored.of("steps", run).get(key, "1 0 d ")
        if _head(memo)[2] != "g" or filed_of(memo) != signal:
            yield f"16 signal {signal!r} is held for {owner}, whose memo is {memo!r}"


def _names_count_what_is_filed(stored: Stored) -> Iterator[str]:
    heard = dict(stored.family("heard"))
    if heard.keys() != stored.of("names").keys():
        yield f"17 names are {sorted(stored.of('names'))}, heard are {sorted(heard)}"
    for name, version in stored.of("names").items():
        if version > int(stored.of("meta").get("names", 0)):
            yield f"19 {name!r} has version {version}, the last is {stored.of('meta').get('names')}"
    opened: Counter[str] = Counter()
    for run, v in stored.family("run"):
        places = [filed_of(memo) for memo in stored.of("steps", run).values() if _head(memo)[2] == "v"]
        places += stored.of("listens", run)
        for place in filter(None, places):
            bucket, ticket, name = place.split(" ", 2)
            opened[name] += int(ticket) in stored.of("waits", bucket).values()
    for name, fields in heard.items():
        if int(fields.get("open", 0)) != opened[name]:
            yield f"17 {name!r} counts {fields.get('open')}, filed are {opened[name]}"
        if int(fields.get("open", 0)) > 0 and name in stored.of("idle"):
            yield f"17 {name!r} is idle with {fields['open']} filed"
        if int(fields.get("open", 0)) == 0 and name not in stored.of("idle"):
            yield f"14 nothing is filed under {name!r}, and it is not idle: it would stay for ever"


def _posts_are_counted(stored: Stored) -> Iterator[str]:
    posts = dict(stored.family("post"))
    if posts.keys() != stored.of("posts").keys():
        yield f"19 posts are {sorted(stored.of('posts'))}, there are posts of {sorted(posts)}"
    count = sum(map(len, posts.values()))
    if count != int(stored.of("meta").get("posts", 0)):
        yield f"19 meta counts {stored.of('meta').get('posts')} posts, there are {count}"
    bytes_of = sum(
        len(entry.encode() if isinstance(entry, str) else entry) for entries in posts.values() for entry in entries
    )
    if bytes_of != int(stored.of("meta").get("post_bytes", 0)):
        yield f"19 meta counts {stored.of('meta').get('post_bytes')} bytes of posts, there are {bytes_of}"
    for name, entries in posts.items():
        order = [entry_order(_text_of(entry).partition(" ")[0]) for entry in entries]
        if order != sorted(order):
            yield f"20 the post of {name!r} is not in order: {order}"
