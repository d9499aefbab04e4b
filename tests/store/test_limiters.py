"""Each limiter against a simple model with a virtual clock: hypothesis draws what comes when, the model says what must be."""

from __future__ import annotations

import redis
from hypothesis import given, settings
from hypothesis import strategies as st

from durableq.model.event.batch import each_given
from durableq.model.flow import with_gates
from durableq.store.keys import Keys
from durableq.words.ids import run_id
from tests.fuzz import EXAMPLES
from tests.servers import Server
from tests.store.checked import IDENTITY, SCRIPTS

ACTS = max(10, EXAMPLES // 3)
GAPS = st.lists(st.sampled_from([0, 1, 7, 50, 99, 100, 101, 350, 1000]), min_size=1, max_size=25)


class Bare:
    """Scripts on an empty namespace, with a clock that only moves when told, and nothing compared: quick."""

    def __init__(self, client: redis.Redis, numbers: str) -> None:
        self.client, self.keys = client, Keys("limits")
        self.now_ms = 2_000_000_000_000
        self.started_ms = self.now_ms
        for key in client.keys(f"{self.keys.base}*"):
            client.delete(key)
        self.sent = 0
        self.claims = 0
        self("open_namespace", IDENTITY, 1)
        self("register_app", "a", "r", "f", b"", "f ~", numbers)
        self("register_lease", "L", 10_000, "w", "a", "r", "a/f", 1)

    def __call__(self, name: str, *args: object) -> list[object]:
        given = (1, self.keys.base, IDENTITY, str(self.now_ms), *args)
        try:
            return self.client.evalsha(SCRIPTS[name].sha, *given)  # type: ignore[no-any-return]
        except redis.exceptions.NoScriptError:
            return self.client.eval(SCRIPTS[name].text, *given)  # type: ignore[no-any-return]

    @property
    def elapsed_ms(self) -> int:
        return self.now_ms - self.started_ms

    def trigger(self, gates: str) -> str:
        """An event. Returns the run that it is, or would be."""
        self.sent += 1
        (entry,) = self("send_events", f"e{self.sent}", 60_000, f"event {self.sent}")
        after = self.client.hget(self.keys.of("meta"), "routed_upto")
        run = run_id(entry.decode(), "a/f", 0)  # type: ignore[attr-defined]
        self("route_events", after, entry, 1, 0, 0, "", 1, 1000, "run", entry, run, "a/f", 0, with_gates(gates, b""))
        return run

    def there(self, run: str) -> bool:
        return bool(self.client.exists(self.keys.of("run", run)))

    def fire(self) -> None:
        while self("fire_timers", 100, 100)[1]:
            pass

    def start(self) -> list[str]:
        """Claim and finish what can be, as an idle worker does."""
        self.claims += 1
        found = self("claim_runs", "L", self.claims, 100, 0, 0, 1000, "a")[4]
        for run, _, epoch, *_ in found:  # type: ignore[attr-defined]
            self("finish_runs", "L", 1000, 1000, run, epoch, "c", b"")
        return [run.decode() for run, *_ in found]  # type: ignore[attr-defined]

    def to_next_timer(self, until_ms: int) -> bool:
        """Move the clock to the next timer, or to `until_ms`. Returns whether there was one before that."""
        head = self.client.zrange(self.keys.of("timers"), 0, 0, withscores=True)
        if head and head[0][1] <= until_ms:
            self.now_ms = max(self.now_ms, int(head[0][1]))
            return True
        self.now_ms = until_ms
        return False


def plays(server: Server) -> settings:
    return settings(max_examples=ACTS if server.kind.real else max(3, ACTS // 5), deadline=None)


def test_a_rate_limit_admits_what_a_list_of_times_would(server: Server) -> None:
    @plays(server)
    @given(GAPS, st.integers(1, 4), st.sampled_from([100, 350, 1000]))
    def play(gaps: list[int], limit: int, period_ms: int) -> None:
        with server.sync_client() as client:
            bare, admitted = Bare(client, f" l={limit}/{period_ms} "), list[int]()
            for gap in gaps:
                bare.now_ms += gap
                expected = sum(at > bare.now_ms - period_ms for at in admitted) < limit
                assert bare.there(bare.trigger("l=k")) == expected
                admitted += [bare.now_ms] * expected

    play()


def test_an_idempotency_key_admits_what_a_last_time_would(server: Server) -> None:
    @plays(server)
    @given(GAPS, st.sampled_from([100, 350, 1000]))
    def play(gaps: list[int], period_ms: int) -> None:
        with server.sync_client() as client:
            bare, until = Bare(client, f" i={period_ms} "), 0
            for gap in gaps:
                bare.now_ms += gap
                expected = bare.now_ms >= until
                assert bare.there(bare.trigger("i=k")) == expected
                if expected:
                    until = bare.now_ms + period_ms

    play()


def test_a_throttle_starts_what_a_list_of_due_times_would(server: Server) -> None:
    @plays(server)
    @given(GAPS, st.sampled_from([(1, 100), (10, 1000), (3, 1000), (1, 1)]), st.integers(1, 3))
    def play(gaps: list[int], rate: tuple[int, int], burst: int) -> None:
        limit, period_ms = rate
        each = period_ms / limit
        slack = 20 if each < 20 else each / 20
        with server.sync_client() as client:
            bare = Bare(client, f" t={limit}/{period_ms}/{burst} ")
            waiting, due = list[str](), -1e9

            def go_on() -> None:
                nonlocal due
                bare.fire()
                expected = []
                if waiting and due < bare.elapsed_ms - slack:
                    due = bare.elapsed_ms  # idle: no turns pile up beyond the burst
                while waiting and due <= bare.elapsed_ms + (burst - 1) * each + 1e-4:
                    due += each
                    expected.append(waiting.pop(0))
                due = round(due, 3)  # as it is kept
                # A claim takes as many as may start now; they are in order.
                assert bare.start() == expected, (bare.elapsed_ms, due)

            for gap in gaps:
                until = bare.now_ms + gap
                while bare.to_next_timer(until):
                    go_on()
                waiting.append(bare.trigger("t=a/f:t"))
                go_on()
            while waiting:
                assert bare.to_next_timer(bare.now_ms + 100_000)
                go_on()

    play()


def test_a_debounce_fires_what_its_rule_says(server: Server) -> None:
    @plays(server)
    @given(
        st.lists(st.tuples(st.sampled_from([0, 1, 50, 99, 100, 101, 350]), st.integers(1, 5)), min_size=1, max_size=20),
        st.sampled_from([0, 100, 250]),
    )
    def play(events: list[tuple[int, int]], timeout_ms: int) -> None:
        with server.sync_client() as client:
            bare = Bare(client, f" d=100/{timeout_ms} ")
            kept: tuple[int, str] | None = None
            first = due = 0
            fired: list[str] = []

            def pass_to(until: int) -> None:
                nonlocal kept
                while bare.to_next_timer(until):
                    bare.fire()
                    if kept and due <= bare.now_ms:
                        fired.append(kept[1])
                        kept = None

            for gap, ts in events:
                pass_to(bare.now_ms + gap)
                run = bare.trigger(f"d=a/f:k e={ts}")
                if kept is None:
                    kept, first = (ts, run), bare.now_ms
                elif ts >= kept[0]:
                    kept = (ts, run)
                due = min(bare.now_ms + 100, first + timeout_ms) if timeout_ms else bare.now_ms + 100
            pass_to(bare.now_ms + 10_000)
            assert kept is None
            assert sorted(bare.start()) == sorted(fired)

    play()


def test_batches_are_the_events_in_order_each_once(server: Server) -> None:
    @plays(server)
    @given(GAPS, st.integers(2, 5))
    def play(gaps: list[int], size: int) -> None:
        with server.sync_client() as client:
            bare = Bare(client, f" b={size}/300 ")
            batches: list[list[str]] = []
            open_batch: list[str] = []
            until = 0

            def pass_to(target: int) -> None:
                nonlocal open_batch
                while bare.to_next_timer(target):
                    bare.fire()
                    if open_batch and until <= bare.now_ms:
                        batches.append(open_batch)
                        open_batch = []

            for number, gap in enumerate(gaps, 1):
                pass_to(bare.now_ms + gap)
                bare.trigger("b=a/f:k")
                if not open_batch:
                    until = bare.now_ms + 300
                open_batch.append(f"event {number}")
                if len(open_batch) == size:
                    batches.append(open_batch)
                    open_batch = []
            pass_to(bare.now_ms + 10_000)
            inputs = [client.get(key) for key in client.keys(bare.keys.of("input", "*"))]
            given_to = sorted([event.blob.decode() for event in each_given(blob, 0)] for blob in inputs)
            assert given_to == sorted(batches)

    play()


def test_concurrency_starts_what_slots_in_a_dict_would(server: Server) -> None:
    @plays(server)
    @given(
        st.lists(st.tuples(st.sampled_from("asf"), st.integers(0, 3), st.integers(0, 9)), min_size=1, max_size=40),
        st.integers(1, 2),
        st.integers(1, 3),
    )
    def play(acts: list[tuple[str, int, int]], limit: int, wide: int) -> None:
        with server.sync_client() as client:
            bare = Bare(client, f" 0={wide} 1={limit} ")
            queued: dict[int, list[str]] = {key: [] for key in range(4)}
            in_hand: list[tuple[str, int, int]] = []
            for act, key, pick in acts:
                if act == "a":
                    queued[key].append(bare.trigger(f"c0=w c1=k{key}"))
                elif act == "f" and in_hand:
                    run, epoch, _ = in_hand.pop(pick % len(in_hand))
                    bare("finish_runs", "L", 1000, 1000, run, epoch, "c", b"")
                elif act == "s":
                    bare.claims += 1
                    found = bare("claim_runs", "L", bare.claims, 1 + pick, 0, 0, 1000, "a")[4]
                    for raw, _, epoch, *_ in found:  # type: ignore[attr-defined]
                        run = raw.decode()
                        (of_key,) = [one for one, runs in queued.items() if run in runs]
                        assert queued[of_key].pop(0) == run, "within a key the oldest first"
                        in_hand.append((run, epoch, of_key))
                    per_key = [sum(one == held for *_, held in in_hand) for one in range(4)]
                    assert max(per_key) <= limit
                    assert len(in_hand) <= wide
                    claimable = [one for one in range(4) if queued[one] and per_key[one] < limit]
                    assert len(found) >= 1 + pick or len(in_hand) == wide or not claimable, "nobody is held up"  # type: ignore[arg-type]

    play()
