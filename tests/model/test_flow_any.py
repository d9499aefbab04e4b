"""Flow control with generated declarations and events: what is declared can be encoded, numbered, gated and read."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import strategies as st

import durableq as dq
from durableq import Batch, Concurrency, Debounce, RateLimit, Singleton, Throttle
from durableq.model.dressing import Dressing
from durableq.model.event import Event, encode_event, read_head
from durableq.model.flow import numbers, ordinal
from durableq.model.flow_text import flow_phrases
from durableq.words import codec
from tests.fuzz import fuzz, prompt
from tests.model.test_flow_options import KEYS, declare, declared

keys = st.none() | st.sampled_from([*KEYS, "event.data", "event.data.x", "event.data.x / event.data.y", "event"])
wide_keys = keys.filter(lambda key: key is not None)
reading = keys.filter(lambda key: key != '"openai"')
periods = st.integers(1, 86_400) | st.sampled_from(["1s", "1m30s", "24h", 1.5, timedelta(minutes=1)])
limits = st.integers(1, 10_000)


@st.composite
def concurrency(draw: Callable[..., Any]) -> list[Concurrency]:
    chosen = draw(
        st.lists(
            st.builds(
                lambda limit, scoped, hold: Concurrency(limit, key=scoped[1], scope=scoped[0], hold=hold),
                limits,
                st.tuples(st.just("function"), keys) | st.tuples(st.sampled_from(["app", "namespace"]), wide_keys),
                st.sampled_from(["turn", "run"]),
            ),
            max_size=4,
            unique_by=lambda limit: limit.sorting,
        )
    )
    keyed = [limit for limit in chosen if limit.key is not None]
    return [limit for limit in chosen if limit.key is None] + keyed[:2]


plain = {
    "concurrency": concurrency(),
    "throttle": st.builds(lambda n, p, b, k: Throttle(n, period=p, burst=b, key=k), limits, periods, limits, keys),
    "rate_limit": st.builds(lambda n, p, k: RateLimit(n, period=p, key=k), limits, periods, keys),
    "idempotency": reading.filter(lambda key: key is not None),
}
of_one = {
    "debounce": st.builds(lambda p, more, k: Debounce(p, timeout=p + more, key=k), st.integers(1, 3600), limits, keys),
    "singleton": st.sampled_from(["skip", "cancel"]) | st.builds(lambda k: Singleton("skip", key=k), keys),
    "priority": st.sampled_from(["event.data.x", "event.ts", "event.data.x == 1 ? 120 : 0", "event.data"]),
}
batched = {"batch": st.builds(lambda n, k, i: Batch(n, timeout=5, key=k, if_=i), st.integers(2, 10_000), keys, reading)}
options = st.fixed_dictionaries({}, optional={**plain, **of_one}) | st.fixed_dictionaries(
    {}, optional={**plain, **batched}
)
values: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats(allow_nan=False) | st.text(max_size=200),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
fields = ["x", "y", "cartId", "userId", "organizationId", "user_id", "plan", "tenant", "amount", "id"]
events = st.fixed_dictionaries({}, optional=dict.fromkeys(fields, values))

NUMBERS = re.compile(r"( (\d+=\d+|t=\d+/\d+/\d+|l=\d+/\d+|i=\d+|d=\d+/\d+|b=\d+/\d+|s=(skip|cancel)))* ?\Z")
GATE = re.compile(r"(?:^| )([a-z])(\d*)=(\S+)")
LETTERS = {"idempotency": "i", "rate_limit": "l", "debounce": "d", "batch": "b", "singleton": "s", "throttle": "t"}


@fuzz(options, events)
def test_what_is_declared_has_numbers_gates_and_words(given: dict[str, Any], data: dict[str, Any]) -> None:
    stored = declared(**given)
    text = numbers(stored)
    assert NUMBERS.match(text), text
    known = dict(found.split("=", 1) for found in text.split())
    try:
        event = read_head(encode_event(Event("a/b", data))).scope("1700000000000-0")
    except dq.DurableqError:
        return  # no event: lone surrogates
    with prompt():
        made, faults = Dressing.of(stored, "shop/f").made(event)
    head, _, rest = made.partition(b";")
    gates = f"{head.partition(b' ')[2].decode()} {rest.decode()}"
    found = {letter + digits for letter, digits, _ in GATE.findall(gates)}
    for letter, digits, _ in GATE.findall(gates):
        if letter in "cr":
            assert digits in known
        elif letter not in "pe":
            assert letter in known
    for limit in stored.get("concurrency", ()):
        assert known[ordinal(limit)] == str(limit["limit"])
        assert limit["key"] is not None or ("r" if limit["hold"] == "run" else "c") + ordinal(limit) in found
    assert {LETTERS[option] for option in stored if option in LETTERS} <= known.keys()
    assert {fault.option for fault in faults} <= stored.keys()
    assert flow_phrases(stored).keys() == stored.keys()


@fuzz(concurrency(), st.randoms(use_true_random=False))
def test_the_order_in_which_limits_are_written_is_no_part_of_the_declaration(
    chosen: list[Concurrency], random: Any
) -> None:
    shuffled = random.sample(chosen, len(chosen))
    apps = [declare(concurrency=limits).functions["f"].declaration() for limits in (chosen, shuffled)]
    assert apps[0] == apps[1]


@fuzz(options, options)
def test_a_limit_keeps_its_ordinal_whatever_is_declared_beside_it(one: dict[str, Any], other: dict[str, Any]) -> None:
    ours = {ordinal(limit): limit for limit in declared(**one).get("concurrency", ())}
    theirs = {ordinal(limit): limit for limit in declared(**other).get("concurrency", ())}
    for name in ours.keys() & theirs.keys():
        assert {**ours[name], "limit": 0} == {**theirs[name], "limit": 0}


class Odd:
    """What raises whatever it is asked."""

    def __eq__(self, other: object) -> bool:
        raise RuntimeError("no")

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        raise RuntimeError("no")


anything: st.SearchStrategy[Any] = (
    values
    | st.floats()
    | st.binary(max_size=20)
    | st.timedeltas()
    | st.integers()
    | st.sampled_from(
        [Odd(), Odd, len, lambda event: event.id, {1, 2}, range(3), KEYS[0], "skip", "5s", "event.x", "0s", "𝟧", "٣s"]
    )
)
MAKERS: dict[str, Callable[..., Any]] = {
    "Concurrency": lambda a, b, c, d: Concurrency(a, key=b, scope=c, hold=d),
    "Throttle": lambda a, b, c, d: Throttle(a, period=b, burst=c, key=d),
    "RateLimit": lambda a, b, c, d: RateLimit(a, period=b, key=c),
    "Debounce": lambda a, b, c, d: Debounce(a, key=b, timeout=c),
    "Batch": lambda a, b, c, d: Batch(a, timeout=b, key=c, if_=d),
    "Singleton": lambda a, b, c, d: Singleton(a, key=b),
}
NAMES = ("concurrency", "throttle", "rate_limit", "debounce", "batch", "priority", "singleton", "idempotency")


def refused_or(make: Callable[..., Any], *arguments: Any) -> Any:
    """What was made, or the error that says why not. Any other error is one of the test's."""
    try:
        return make(*arguments)
    except dq.ConfigError as error:
        return error


@pytest.mark.parametrize("maker", MAKERS)
def test_whatever_is_given_is_made_or_refused(maker: str) -> None:
    fine = {
        "Concurrency": (1, None, "function", "turn"),
        "Throttle": (1, "1s", 1, None),
        "RateLimit": (1, "1s", None, None),
        "Debounce": ("1s", None, None, None),
        "Batch": (2, "1s", None, None),
        "Singleton": ("skip", None, None, None),
    }[maker]

    @fuzz(st.integers(0, 3), anything)
    def each(place: int, given: Any) -> None:
        made = refused_or(MAKERS[maker], *fine[:place], given, *fine[place + 1 :])
        if isinstance(made, dq.ConfigError):
            assert 10 < len(str(made)) < 1000
        else:
            codec.encode(made.to_map())

    each()


@fuzz(st.sampled_from(NAMES), anything | st.lists(anything, max_size=3))
def test_whatever_is_given_to_a_function_is_declared_or_refused(option: str, given: Any) -> None:
    app = refused_or(lambda: declare(**{option: given}))
    if isinstance(app, dq.ConfigError):
        assert "function 'f'" in str(app)
    else:
        numbers(codec.decode(app.functions["f"].declaration()))
