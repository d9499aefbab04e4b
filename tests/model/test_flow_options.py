"""Flow control: what may be declared, and what is said about what may not."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from enum import IntEnum, StrEnum
from types import SimpleNamespace
from typing import Any

import pytest

import durableq as dq
from durableq import Batch, Concurrency, Debounce, RateLimit, Singleton, Throttle
from durableq.words import codec

WEEK, DAY = "at least 1s and at most 7d", "at least 1s and at most 1d"

# As Inngest's documentation writes them.
KEYS = [
    "event.data.cartId",
    'event.data.userId + "-" + event.data.organizationId',
    '"openai"',
    "event.data.user_id",
    'string(event.data.amount) + "-" + event.data.id',
    "event.name",
    "event.user.id",
    "has(event.data.tenant) ? event.data.tenant : 'none'",
    "event.data.plan == 'free' ? event.data.user_id : false",
]


def declare(**options: Any) -> dq.App:
    app = dq.App("shop")

    @app.function(**{"id": "f", "triggers": [dq.EventTrigger("a/b")], **options})
    async def function(ctx: dq.Context) -> None: ...

    return app


def declared(function: str = "f", /, **options: Any) -> dict[str, Any]:
    """What the registry is told, without what every function has."""
    stored: dict[str, Any] = codec.decode(declare(**options).functions[function].declaration())
    for name in ("id", "name", "triggers", "retries", "backoff"):
        del stored[name]
    return stored


KEYED: dict[str, Callable[[Any], dict[str, Any]]] = {
    "Concurrency": lambda key: {"concurrency": Concurrency(1, key=key)},
    "Throttle": lambda key: {"throttle": Throttle(1, period="1s", key=key)},
    "RateLimit": lambda key: {"rate_limit": RateLimit(1, period="1s", key=key)},
    "Debounce": lambda key: {"debounce": Debounce("1s", key=key)},
    "Batch": lambda key: {"batch": Batch(2, timeout="1s", key=key)},
    "Singleton": lambda key: {"singleton": Singleton(key=key)},
    "function 'f': idempotency": lambda key: {"idempotency": key},
}


# --- numbers, durations, words


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: Concurrency(0), "Concurrency limit must be at least 1, not 0; for no limit, leave it out"),
        (lambda: Concurrency(-1), "Concurrency limit must be at least 1, not -1; for no limit"),
        (lambda: Concurrency(10**6 + 1), "Concurrency limit must be at most 1,000,000, not 1000001"),
        (lambda: Concurrency(10**40), "at most 1,000,000, not an integer of 133 bits"),
        (lambda: Concurrency("5"), "Concurrency limit must be a whole number, not str: '5'"),
        (lambda: Concurrency(5.0), "Concurrency limit must be a whole number, not float: 5.0"),
        (lambda: Concurrency(True), "Concurrency limit must be a whole number, not bool: True"),
        (lambda: Concurrency(None), "Concurrency limit must be a whole number, not NoneType: None"),
        (
            lambda: Concurrency(1, scope="global", key="event.id"),
            "scope must be 'function', 'app' or 'namespace', not 'global'",
        ),
        (lambda: Concurrency(1, scope="App", key="event.id"), "not 'App'; did you mean 'app'[?]"),
        (lambda: Concurrency(1, scope=None), "Concurrency scope must be .*, not None"),
        (lambda: Concurrency(1, scope=["app"]), r"Concurrency scope must be .*, not \['app'\]"),
        (lambda: Concurrency(1, hold="step"), "Concurrency hold must be 'turn' or 'run', not 'step'"),
        (
            lambda: Concurrency(1, scope="app"),
            "scope 'app' needs a key.*: write Concurrency.1, key=.*'openai'.*scope='app'",
        ),
        (lambda: Concurrency(1, scope="namespace"), "scope 'namespace' needs a key"),
        (lambda: Throttle(0, period="1m"), "Throttle limit must be at least 1, not 0"),
        (lambda: Throttle("5", period="1m"), "Throttle limit must be a whole number, not str: '5'"),
        (lambda: Throttle(True, period="1m"), "not bool"),
        (lambda: Throttle(10**6 + 1, period="1m"), "Throttle limit must be at most 1,000,000"),
        (lambda: Throttle(5, period="1m", burst=0), "Throttle burst must be at least 1, not 0"),
        (lambda: Throttle(5, period="1m", burst=True), "Throttle burst must be a whole number, not bool"),
        (lambda: Throttle(5, period=0), f"Throttle period must be {WEEK}, not 0"),
        (lambda: Throttle(5, period="999ms"), f"Throttle period must be {WEEK}, not '999ms'"),
        (lambda: Throttle(5, period="8d"), f"Throttle period must be {WEEK}, not '8d'"),
        (lambda: Throttle(5, period=None), "Throttle period must be a duration"),
        (lambda: Throttle(5, period=True), "Throttle period must be a duration, not True"),
        (lambda: Throttle(5, period="minute"), "Throttle period 'minute' is not a duration"),
        (lambda: RateLimit(0, period="1h"), "RateLimit limit must be at least 1, not 0"),
        (lambda: RateLimit(10_001, period="1h"), "RateLimit limit must be at most 10,000, not 10001"),
        (lambda: RateLimit("5", period="1h"), "RateLimit limit must be a whole number"),
        (lambda: RateLimit(False, period="1h"), "not bool: False"),
        (lambda: RateLimit(5, period="25h"), f"RateLimit period must be {DAY}, not '25h'"),
        (lambda: RateLimit(5, period=3_600_000), f"RateLimit period must be {DAY}, not 3600000 seconds"),
        (lambda: RateLimit(5, period=0.5), f"RateLimit period must be {DAY}, not 0.5"),
        (lambda: Debounce(0), f"Debounce period must be {WEEK}, not 0"),
        (lambda: Debounce("8d"), f"Debounce period must be {WEEK}, not '8d'"),
        (lambda: Debounce("10s", timeout="9s"), "Debounce timeout must be at least its period, '10s', not '9s'"),
        (lambda: Debounce("10s", timeout=0), "Debounce timeout must be at least 1ms"),
        (lambda: Debounce("10s", timeout="367d"), "Debounce timeout must be .*at most 366d"),
        (lambda: Debounce("10s", timeout="soon"), "Debounce timeout 'soon' is not a duration"),
        (lambda: Batch(1, timeout="5s"), "Batch size must be at least 2, not 1"),
        (lambda: Batch(10_001, timeout="5s"), "Batch size must be at most 10,000, not 10001"),
        (lambda: Batch("100", timeout="5s"), "Batch size must be a whole number, not str: '100'"),
        (lambda: Batch(100, timeout=0), f"Batch timeout must be {WEEK}, not 0"),
        (lambda: Batch(100, timeout=None), "Batch timeout must be a duration"),
        (lambda: Batch(100, timeout="5s", if_=True), "Batch if_ must be an expression in a string, .* not bool: True"),
        (lambda: Batch(100, timeout="5s", if_=""), "Batch if_: "),
        (lambda: Batch(100, timeout="5s", if_="true"), "if_ 'true' reads nothing of the event: .* Leave it out"),
        (lambda: Singleton("Skip"), "Singleton mode must be 'skip' or 'cancel', not 'Skip'; did you mean 'skip'[?]"),
        (lambda: Singleton("queue"), "Singleton mode must be 'skip' or 'cancel', not 'queue'$"),
        (lambda: Singleton(None), "Singleton mode must be 'skip' or 'cancel', not None"),
        (lambda: Singleton(True), "Singleton mode must be 'skip' or 'cancel', not True"),
    ],
)
def test_a_value_that_breaks_a_rule_is_refused_with_option_rule_and_value(
    make: Callable[[], object], says: str
) -> None:
    with pytest.raises(dq.ConfigError, match=says):
        make()


@pytest.mark.parametrize(
    "make",
    [
        lambda: Concurrency(1),
        lambda: Concurrency(1_000_000, key="event.id", scope="namespace", hold="run"),
        lambda: Throttle(1, period="1s"),
        lambda: Throttle(1_000_000, period="7d", burst=1_000_000),
        lambda: RateLimit(1, period=1),
        lambda: RateLimit(10_000, period="24h"),
        lambda: Debounce("1s", timeout="1s"),
        lambda: Debounce("7d", timeout="366d"),
        lambda: Batch(2, timeout="1s"),
        lambda: Batch(10_000, timeout="7d"),
    ],
)
def test_what_lies_on_a_bound_is_allowed(make: Callable[[], object]) -> None:
    make()


def test_words_and_numbers_may_be_of_an_enum() -> None:
    class Mode(StrEnum):
        SKIP = "skip"
        APP = "app"
        KEY = "event.id"

    class Size(IntEnum):
        SMALL = 5

    assert declared(singleton=Mode.SKIP) == declared(singleton=Singleton(Mode.SKIP)) == declared(singleton="skip")
    assert declared(concurrency=Size.SMALL) == declared(concurrency=5)
    limit: Any = Concurrency(Size.SMALL, scope=Mode.APP, key=Mode.KEY)
    assert declared(concurrency=limit) == declared(concurrency=Concurrency(5, scope="app", key="event.id"))
    assert declared(throttle=Throttle(Size.SMALL, period=Size.SMALL, burst=Size.SMALL))
    assert declared(rate_limit=RateLimit(Size.SMALL, period=Size.SMALL))
    assert declared(batch=Batch(Size.SMALL, timeout=Size.SMALL))


def test_a_value_of_inngests_class_is_refused_with_where_ours_is() -> None:
    class Concurrency:
        pass

    Concurrency.__module__ = "inngest._internal.function_config"
    for options in ({"concurrency": Concurrency()}, {"concurrency": [Concurrency()]}, {"throttle": Concurrency()}):
        with pytest.raises(dq.ConfigError, match=r"import it from durableq$"):
            declare(**options)


def test_durations_are_seconds_texts_or_timedeltas() -> None:
    assert Throttle(5, period=90) == Throttle(5, period="1m30s") == Throttle(5, period=timedelta(seconds=90))
    assert Debounce("1m", timeout=90.0) == Debounce(60, timeout="90s")


@pytest.mark.parametrize("cls", [Concurrency, Throttle, RateLimit, Debounce, Batch, Singleton])
def test_all_but_the_first_are_named(cls: Any) -> None:
    with pytest.raises(TypeError, match="positional"):
        cls(5, "1m")


@pytest.mark.parametrize(
    "one",
    [Concurrency(1), Throttle(1, period=1), RateLimit(1, period=1), Debounce(1), Batch(2, timeout=1), Singleton()],
)
def test_they_are_values_that_cannot_be_changed(one: Any) -> None:
    with pytest.raises(AttributeError):
        one.key = "event.id"
    assert hash(one) == hash(one)


@pytest.mark.parametrize(
    ("scope", "ours"), [("fn", "'function'"), ("env", "'namespace'"), ("account", "'namespace', the widest")]
)
def test_a_scope_of_inngests_is_refused_with_ours(scope: Any, ours: str) -> None:
    with pytest.raises(
        dq.ConfigError, match=rf"Concurrency scope: '{scope}' is inngest-py's name. Here it is {ours}: "
    ):
        Concurrency(10, key="'openai'", scope=scope)


@pytest.mark.parametrize(
    ("given", "says"),
    [({"max_size": 5}, "Here it is the first argument, size"), ({"if_exp": "true"}, "Here it is if_: ")],
)
def test_a_name_of_inngests_batch_is_refused_with_ours(given: dict[str, Any], says: str) -> None:
    with pytest.raises(dq.ConfigError, match=says):
        Batch(**{"timeout": "5s", **given})


# --- keys


@pytest.mark.parametrize("key", KEYS)
@pytest.mark.parametrize("of", KEYED)
def test_keys_work_as_inngests_documentation_writes_them(of: str, key: str) -> None:
    if of.endswith("idempotency") and key == '"openai"':
        return  # refused below
    (stored,) = declared(**KEYED[of](key)).values()
    assert (stored[0] if isinstance(stored, list) else stored)["key"] == key


@pytest.mark.parametrize(
    ("key", "points_at", "says"),
    [
        ("event.order_id", "order_id", "an event has no field 'order_id', .*did you mean event.data.order_id[?]"),
        ("event.dta.x", "dta", "did you mean event.data"),
        ("evnt.data.x", "evnt", "unknown name 'evnt'"),
        ("openai", "openai", "for a constant text write 'openai' in quotes of its own"),
        ("event.data.x ==", None, "ends where a value is expected"),
        ("event.data.x == async.data.x", "async", "unknown name 'async'"),
        ("", None, "expression"),
    ],
)
@pytest.mark.parametrize("of", KEYED)
def test_a_key_that_does_not_compile_is_refused_with_a_caret(
    of: str, key: str, points_at: str | None, says: str
) -> None:
    with pytest.raises(dq.ExpressionError, match=says) as refused:
        declare(**KEYED[of](key))
    assert str(refused.value).startswith(f"{of} key: " if " " not in of else f"{of}: ")
    assert str(refused.value).splitlines()[-1].strip() == "^"
    if points_at is not None:
        assert key[refused.value.position :].startswith(points_at)


@pytest.mark.parametrize(
    ("key", "says"),
    [
        (5, "must be an expression in a string, such as 'event.data.user_id', not int: 5"),
        (True, "not bool: True"),
        (["event.id"], r"not list: \['event.id'\]"),
        (lambda event: event.id, "not function: it is evaluated where this code may not be loaded"),
        ("null", "'null' reads nothing of the event and is never a key"),
        ("false", "is never a key"),
        ("1 == 2", "is never a key"),
        ("1 / 0", "is never a key"),
    ],
)
@pytest.mark.parametrize("of", KEYED)
def test_what_is_no_key_is_refused(of: str, key: object, says: str) -> None:
    with pytest.raises(dq.ConfigError, match=says):
        declare(**KEYED[of](key))


@pytest.mark.parametrize("of", KEYED)
def test_a_field_in_quotes_is_no_key_that_anybody_means(of: str) -> None:
    with pytest.raises(
        dq.ConfigError, match=r"is a text, the same for every event: write 'event.data.user_id', without"
    ):
        declare(**KEYED[of]("'event.data.user_id'"))


@pytest.mark.parametrize("of", KEYED)
def test_spaces_around_a_key_mean_nothing(of: str) -> None:
    assert declared(**KEYED[of](" event.data.x\n")) == declared(**KEYED[of]("event.data.x"))


@pytest.mark.parametrize("key", ["'openai'", "now()", "7"])
def test_idempotency_by_what_is_the_same_for_every_event_is_refused(key: str) -> None:
    with pytest.raises(
        dq.ConfigError, match=r"all events of 24 h but the first.*rate_limit=RateLimit\(1, period='24h'\)"
    ):
        declare(idempotency=key)


@pytest.mark.parametrize(
    ("priority", "says"),
    [
        ("120", "priority '120' reads nothing of the event: it moves all runs of the function alike"),
        (120, "priority '120' reads nothing of the event"),
        (True, "priority must be an expression in a string, .*not bool: True"),
        (SimpleNamespace(run="event.data.p"), "priority must be an expression in a string, .*not SimpleNamespace"),
    ],
)
def test_a_priority_that_moves_nothing_is_refused(priority: object, says: str) -> None:
    with pytest.raises(dq.ConfigError, match=f"function 'f': {says}"):
        declare(priority=priority)


def test_a_priority_that_does_not_compile_is_refused_with_a_caret() -> None:
    with pytest.raises(dq.ExpressionError, match="function 'f': priority: an event has no field 'plan'") as refused:
        declare(priority="event.plan == 'pro' ? 120 : 0")
    assert refused.value.position == len("event.")


# --- the options


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"concurrency": "10"}, r"concurrency must be a number, a Concurrency, or a list such as .*not str: '10'"),
        ({"concurrency": 1.5}, "not float: 1.5"),
        ({"concurrency": True}, "not bool: True"),
        ({"concurrency": 0}, "function 'f': Concurrency limit must be at least 1, not 0; for no limit"),
        ({"concurrency": {"limit": 5}}, "not dict"),
        ({"concurrency": [True]}, r"concurrency holds True, which is no Concurrency: write Concurrency\(10\)"),
        ({"concurrency": [None]}, "concurrency holds None, which is no Concurrency"),
        ({"concurrency": ["10"]}, "concurrency holds '10', which is no Concurrency"),
        ({"concurrency": [-5]}, "function 'f': Concurrency limit must be at least 1, not -5"),
        (
            {"concurrency": [5, 10]},
            "concurrency has .* for the same function, all of its runs, hold='turn': the larger one",
        ),
        (
            {"concurrency": [Concurrency(1, key="event.id"), Concurrency(2, key=" event.id")]},
            "for the same function, key event.id, hold='turn'",
        ),
        (
            {"concurrency": [Concurrency(1, key=f"event.data.k{n}") for n in range(3)]},
            "concurrency may have at most 2 limits with a key, not 3",
        ),
        ({"throttle": 5}, r"throttle must be Throttle\(100, period='1m'\), not int: 5"),
        ({"throttle": RateLimit(5, period=1)}, "throttle must be Throttle.*, not RateLimit"),
        ({"throttle": [Throttle(5, period=1)]}, "throttle must be Throttle.*, not list"),
        ({"rate_limit": {"limit": 5}}, r"rate_limit must be RateLimit\(5, period='1h'\), not dict"),
        ({"debounce": "10s"}, r"debounce must be Debounce\('10s'\), not str: '10s'"),
        ({"batch": 100}, r"batch must be Batch\(100, timeout='5s'\), not int: 100"),
        ({"singleton": "Skip"}, "singleton must be 'skip' or 'cancel', not 'Skip'; did you mean 'skip'"),
        ({"singleton": True}, "singleton must be 'skip', 'cancel' or Singleton.*, not bool: True"),
        ({"singleton": Singleton}, "singleton must be 'skip', 'cancel' or Singleton.*, not type"),
    ],
)
def test_a_bad_option_is_refused_with_function_option_rule_and_value(options: dict[str, Any], says: str) -> None:
    with pytest.raises(dq.ConfigError, match=says) as refused:
        declare(**options)
    assert str(refused.value).startswith("function 'f': ")


def test_each_option_is_declared_as_scripts_and_screens_read_it() -> None:
    assert declared(
        concurrency=10,
        throttle=Throttle(100, period="1m", burst=10),
        rate_limit=RateLimit(5, period="1h", key="event.data.user_id"),
        debounce=Debounce("10s", key="event.data.doc_id", timeout="2m"),
        priority="event.data.plan == 'pro' ? 120 : 0",
        singleton=Singleton("cancel", key="event.data.account_id"),
        idempotency="event.data.cart_id",
    ) == {
        "concurrency": [{"limit": 10, "key": None, "scope": "function", "hold": "turn"}],
        "throttle": {"limit": 100, "period_ms": 60_000, "burst": 10, "key": None},
        "rate_limit": {"limit": 5, "period_ms": 3_600_000, "key": "event.data.user_id"},
        "debounce": {"period_ms": 10_000, "timeout_ms": 120_000, "key": "event.data.doc_id"},
        "priority": "event.data.plan == 'pro' ? 120 : 0",
        "singleton": {"mode": "cancel", "key": "event.data.account_id"},
        "idempotency": {"key": "event.data.cart_id"},
    }
    assert declared(batch=Batch(100, timeout="5s", if_="event.data.total < 100")) == {
        "batch": {"size": 100, "timeout_ms": 5000, "key": None, "if": "event.data.total < 100"}
    }
    assert declared(debounce=Debounce("10s")) == {"debounce": {"period_ms": 10_000, "timeout_ms": 0, "key": None}}


def test_a_word_is_a_singleton_of_that_mode() -> None:
    assert declared(singleton="cancel") == declared(singleton=Singleton("cancel"))
    assert declared(singleton="skip") == declared(singleton=Singleton())


def test_none_and_an_empty_list_declare_nothing() -> None:
    options = ("concurrency", "throttle", "rate_limit", "debounce", "batch", "priority", "singleton", "idempotency")
    assert declared(**dict.fromkeys(options)) == {}
    assert declared(concurrency=[]) == declared() == {}


def test_limits_are_declared_widest_first_in_whatever_order_they_were_written() -> None:
    limits = [
        Concurrency(1, key="event.data.b", hold="run"),
        Concurrency(9),
        Concurrency(3, key="'openai'", scope="namespace"),
        Concurrency(5, hold="run"),
    ]
    stored = declared(concurrency=limits)["concurrency"]
    assert [(one["scope"], one["key"], one["hold"]) for one in stored] == [
        ("namespace", "'openai'", "turn"),
        ("function", None, "run"),
        ("function", None, "turn"),
        ("function", "event.data.b", "run"),
    ]
    assert declared(concurrency=tuple(reversed(limits)))["concurrency"] == stored
    keyed = [Concurrency(1, key="event.data.b"), Concurrency(1, key="event.data.a")]
    assert [one["key"] for one in declared(concurrency=keyed)["concurrency"]] == ["event.data.a", "event.data.b"]


def test_one_key_may_have_a_limit_for_each_hold_and_each_scope() -> None:
    declare(concurrency=[Concurrency(5, key="event.id"), Concurrency(5, key="event.id", hold="run")])
    declare(concurrency=[Concurrency(5, key="event.id", scope="app"), Concurrency(5, key="event.id")])


@pytest.mark.parametrize("on_failure", [lambda ctx: None])
def test_what_follows_a_failure_has_no_flow_control(on_failure: Callable[[dq.Context], None]) -> None:
    limits: dict[str, Any] = {
        "concurrency": 1,
        "idempotency": "event.id",
        "singleton": "skip",
        "on_failure": on_failure,
    }
    assert declared(**limits).keys() == {"concurrency", "idempotency", "singleton"}
    assert declared("f:on-failure", **limits) == {}


# --- what goes together


@pytest.mark.parametrize(
    ("option", "given", "way_out"),
    [
        ("debounce", Debounce("1s"), "Take the last of ctx.events"),
        ("singleton", "skip", r"Concurrency\(1, hold='run'\) with the same key makes them wait"),
        ("singleton", Singleton("cancel", key="event.id"), "hold='run'"),
        ("priority", "event.data.p", "Declare a function for those that are urgent"),
        ("cancel_on", dq.CancelOn("x"), "Look at ctx.events in the function"),
    ],
)
def test_a_batch_goes_with_nothing_that_is_of_one_event(option: str, given: object, way_out: str) -> None:
    with pytest.raises(dq.ConfigError, match=f"function 'f': batch and {option} do not go together: .*{way_out}"):
        declare(batch=Batch(2, timeout="1s"), **{option: given})


CRON = dq.CronTrigger("@daily")


@pytest.mark.parametrize("triggers", [[], [CRON]], ids=["invoked", "cron"])
@pytest.mark.parametrize("options", [{"debounce": Debounce("1s")}, {"batch": Batch(2, timeout="1s")}], ids=str)
def test_without_an_event_trigger_there_is_nothing_to_hold_back(triggers: list[Any], options: dict[str, Any]) -> None:
    (option,) = options
    with pytest.raises(
        dq.ConfigError, match=f"function 'f': {option} holds back events, and no trigger .* leave {option} out"
    ):
        declare(triggers=triggers, **options)
    declare(triggers=[*triggers, dq.EventTrigger("a/b")], **options)


AT_TICKS = [{**KEYED[of]("event.data.user_id")} for of in KEYED if of not in ("Debounce", "Batch")]


@pytest.mark.parametrize("options", [*AT_TICKS, {"priority": "event.data.user_id"}], ids=str)
def test_with_ticks_alone_a_key_must_come_to_something_for_ticks(options: dict[str, Any]) -> None:
    (option,) = options
    with pytest.raises(
        dq.ConfigError,
        match=f"function 'f': {option}( key)? 'event.data.user_id' comes to nothing for every tick, .*has",
    ):
        declare(triggers=[CRON], **options)
    declare(triggers=[], **options)  # whoever invokes it may bring it along
    declare(triggers=[CRON, dq.EventTrigger("a/b")], **options)


@pytest.mark.parametrize(
    "key",
    ["event.data.cron", "event.id", "event.data.function_id", "has(event.data.user_id) ? event.data.user_id : 'tick'"],
)
@pytest.mark.parametrize("of", [of for of in KEYED if of not in ("Debounce", "Batch")])
def test_a_key_that_ticks_have_is_allowed(of: str, key: str) -> None:
    declare(triggers=[CRON], **KEYED[of](key))


def test_a_key_that_is_false_for_ticks_says_that_they_are_not_limited() -> None:
    key = "has(event.data.user_id) ? event.data.user_id : false"
    declare(triggers=[CRON], singleton=Singleton(key=key))


WHOLE: dict[str, Any] = {
    "concurrency": [10, Concurrency(1, key="event.data.user_id")],
    "throttle": Throttle(5, period="1m", key="event.data.user_id"),
    "rate_limit": RateLimit(5, period="1h", key="event.data.user_id"),
    "idempotency": "event.data.cart_id",
}


def test_everything_else_goes_together() -> None:
    of_one = {
        "debounce": Debounce("1s", key="event.data.user_id"),
        "priority": "event.data.p",
        "singleton": Singleton("cancel", key="event.data.user_id"),
        "cancel_on": dq.CancelOn("x"),
        "timeouts": dq.Timeouts(start="1m"),
    }
    assert declared(**WHOLE, **of_one).keys() == {*WHOLE, *of_one}
    with_batch = {**WHOLE, "batch": Batch(2, timeout="1s"), "timeouts": dq.Timeouts(start="1m")}
    assert declared(**with_batch).keys() == with_batch.keys()
