"""cancel_on, timeouts and on_failure: what may be declared, and what is said about what may not."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import strategies as st

import durableq as dq
from durableq.model.cancelling import CancelOn, Timeouts
from durableq.words import codec
from tests.fuzz import fuzz

IF = "event.data.id == async.data.id"


def declare(**options: Any) -> dq.App:
    app = dq.App("shop")

    @app.function(**{"id": "f", "triggers": [dq.EventTrigger("a/b")], **options})
    async def function(ctx: dq.Context) -> None: ...

    return app


def declared(app: dq.App, function: str = "f") -> dict[str, Any]:
    stored: dict[str, Any] = codec.decode(app.functions[function].declaration())
    return stored


# --- CancelOn


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: CancelOn(7), "CancelOn event must be a string, not int: 7"),
        (lambda: CancelOn(""), "1 to 256 characters"),
        (lambda: CancelOn("order/*"), r"CancelOn event 'order/\*' has a wildcard, which only triggers may have"),
        (lambda: CancelOn("durableq/function.begun"), "no such system event; there are durableq/function.finished"),
        (lambda: CancelOn("a", if_=True), "CancelOn if_ must be an expression in a string, not bool: True"),
        (lambda: CancelOn("a", timeout=0), "CancelOn timeout must be at least 1ms and at most 366d, not 0"),
        (lambda: CancelOn("a", timeout=-1), "not -1"),
        (lambda: CancelOn("a", timeout="367d"), "at most 366d, not '367d'"),
        (lambda: CancelOn("a", timeout="soon"), "CancelOn timeout 'soon' is not a duration"),
        (lambda: CancelOn("a", timeout=float("nan")), "must be finite"),
        (lambda: Timeouts(), "needs start or finish"),
        (lambda: Timeouts(start=0), "Timeouts start must be at least 1ms"),
        (lambda: Timeouts(finish="400d"), "Timeouts finish must be .*at most 366d, not '400d'"),
        (lambda: Timeouts(finish=True), "Timeouts finish must be a duration, not True"),
        (lambda: Timeouts(start=[]), "Timeouts start must be a duration"),
    ],
)
def test_a_value_that_breaks_a_rule_is_refused_with_option_rule_and_value(
    make: Callable[[], object], says: str
) -> None:
    with pytest.raises(dq.ConfigError, match=says):
        make()


@pytest.mark.parametrize(
    ("if_", "points_at"),
    [("event.data.id == asynch.data.id", "asynch"), ("event.data.id ==", None), ("evnt.x", "evnt")],
)
def test_a_condition_that_does_not_compile_is_refused_with_a_caret(if_: str, points_at: str | None) -> None:
    with pytest.raises(dq.ExpressionError) as refused:
        CancelOn("order/cancelled", if_=if_)
    shown = str(refused.value).splitlines()
    assert shown[-1].strip() == "^"
    if points_at is not None:
        assert if_[refused.value.position :].startswith(points_at)


def test_inngest_names_of_system_events_mean_ours() -> None:
    assert CancelOn("inngest/function.failed").event == "durableq/function.failed"


def test_durations_are_seconds_texts_or_timedeltas() -> None:
    assert CancelOn("a", timeout=90) == CancelOn("a", timeout="1m30s") == CancelOn("a", timeout=timedelta(seconds=90))
    assert Timeouts(start=1.5).start_ms == 1500
    assert (Timeouts(finish="2h").start_ms, Timeouts(finish="2h").finish_ms) == (0, 7_200_000)


# --- the options


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"cancel_on": "order/cancelled"}, r"write CancelOn\('order/cancelled'\)"),
        ({"cancel_on": ["order/cancelled"]}, r"no CancelOn: write CancelOn\('order/cancelled'\)"),
        ({"cancel_on": [dq.EventTrigger("x")]}, "is no CancelOn"),
        ({"cancel_on": {"event": "x"}}, "must be a list such as .*, not dict"),
        ({"cancel_on": None}, "must be a list such as .*, not NoneType"),
        ({"cancel_on": 5}, "must be a list such as .*, not int: 5"),
        ({"cancel_on": [CancelOn(f"e{n}") for n in range(6)]}, "cancel_on must hold at most 5, not 6"),
        ({"cancel_on": [CancelOn("x", if_=IF), CancelOn("x", if_=IF)]}, "same event stands twice in cancel_on: x if "),
        ({"cancel_on": [CancelOn("x"), CancelOn("x", timeout="1m")]}, "same event stands twice in cancel_on: x"),
        ({"timeouts": "5m"}, r"timeouts must be Timeouts\(start='5m', finish='30m'\).*not str: '5m'"),
        ({"timeouts": 300}, "not int: 300"),
        ({"timeouts": {"start": "5m"}}, "not dict"),
        ({"on_failure": "notify"}, r"function 'f': on_failure must be a function\(ctx\), not 'notify'"),
        ({"on_failure": dict}, "must be a function"),
        ({"on_failure": lambda: None}, "on_failure: the function must take one argument, its context"),
        ({"on_failure": lambda ctx, error: None}, "must take one argument"),
        ({"on_failure": min}, "Python cannot say what .* takes"),
    ],
)
def test_a_bad_option_is_refused_with_function_option_rule_and_value(options: dict[str, Any], says: str) -> None:
    with pytest.raises(dq.ConfigError, match=says):
        declare(**options)


def test_one_cancel_on_needs_no_list_and_two_conditions_on_one_event_are_two() -> None:
    assert declared(declare(cancel_on=CancelOn("x")))["cancel_on"] == [{"event": "x"}]
    two = [CancelOn("x", if_=IF, timeout="1m"), CancelOn("x", if_="async.data.all == true")]
    assert declared(declare(cancel_on=two))["cancel_on"] == [
        {"event": "x", "if": IF, "timeout_ms": 60_000},
        {"event": "x", "if": "async.data.all == true"},
    ]


def test_timeouts_are_declared_in_ms() -> None:
    assert declared(declare(timeouts=Timeouts(start="5m")))["timeouts"] == {"start_ms": 300_000, "finish_ms": 0}


def test_a_function_without_these_options_declares_what_it_always_did() -> None:
    app = declare()
    assert list(declared(app)) == ["id", "name", "triggers", "retries", "backoff"]
    assert list(app.functions) == ["f"]


# --- on_failure


def test_on_failure_is_a_function_of_its_own_that_the_failed_event_starts() -> None:
    async def notify(ctx: dq.Context) -> None: ...

    app = declare(id="process-order", name="Process an order", retries=0, on_failure=notify)
    handler = app.functions["process-order:on-failure"]
    assert handler.full_id == "shop/process-order:on-failure"
    assert (handler.handler, handler.is_async, handler.retries) == (notify, True, 4)
    assert declared(app, handler.id) == {
        "id": "process-order:on-failure",
        "name": "Process an order (on failure)",
        "triggers": [
            {
                "event": "durableq/function.failed",
                "if": "event.data.app_id == 'shop' && event.data.function_id == 'process-order'",
            }
        ],
        "retries": 4,
        "backoff": None,
    }


def test_a_handler_may_be_def_or_async_def_whatever_the_function_is_and_serve_several() -> None:
    def notify(ctx: dq.SyncContext) -> None: ...

    app = declare(on_failure=notify)
    assert app.functions["f:on-failure"].is_async is False

    @app.function("g", triggers=[dq.EventTrigger("a/b")], on_failure=notify)
    def other(ctx: dq.SyncContext) -> None: ...

    assert sorted(app.functions) == ["f", "f:on-failure", "g", "g:on-failure"]


def test_a_handler_has_the_shape_of_a_function() -> None:
    def plain(ctx: dq.Context) -> None: ...

    async def coloured(ctx: dq.SyncContext) -> None: ...

    async def generator(ctx: dq.Context) -> Any:
        yield

    for handler, says in [
        (plain, "function 'f': on_failure: a `def` function gets a SyncContext"),
        (coloured, "function 'f': on_failure: an `async def` function gets a Context"),
        (generator, "on_failure: the function has a `yield`"),
    ]:
        with pytest.raises(dq.ConfigError, match=says):
            declare(on_failure=handler)


def test_a_declared_function_is_no_handler_and_the_message_gives_the_trigger() -> None:
    app = dq.App("shop")

    @app.function("notify", triggers=[dq.EventTrigger("x")])
    async def notify(ctx: dq.Context) -> None: ...

    with pytest.raises(
        dq.ConfigError, match=r"on_failure is shop/notify, which is declared already: .*function.failed"
    ):
        app.function("f", triggers=[dq.EventTrigger("a/b")], on_failure=notify)


def test_a_refused_declaration_leaves_nothing_behind() -> None:
    async def notify(ctx: dq.Context) -> None: ...

    app = declare()
    with pytest.raises(dq.ConfigError, match="declared twice"):
        app.function("f", triggers=[dq.EventTrigger("a/b")], on_failure=notify)(notify)
    assert list(app.functions) == ["f"]


def test_no_user_may_take_a_handlers_id() -> None:
    with pytest.raises(dq.ConfigError, match="not allowed"):
        declare(id="f:on-failure")


# --- whatever is given


class Unshowable:
    def __repr__(self) -> str:
        raise RuntimeError("no")


_texts = st.text(max_size=12) | st.sampled_from(["order/cancelled", "durableq/function.failed", "a*", "1h", "-5", IF])
_anything = st.one_of(
    _texts,
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.binary(max_size=5),
    st.timedeltas(),
    st.builds(Unshowable),
    st.builds(object),
    st.sampled_from([dict, min, print, len, dq.App, lambda ctx: None, lambda: None, IF.join]),
    st.lists(_texts, max_size=3),
    st.dictionaries(_texts, st.integers(), max_size=2),
)


def built(make: Callable[..., Any]) -> Callable[..., Any]:
    def build(*args: Any, **kwargs: Any) -> Any:
        try:
            return make(*args, **kwargs)
        except dq.ConfigError:
            return make

    return build


_cancels = st.builds(built(CancelOn), _texts | _anything, if_=_anything, timeout=_anything)
_timeouts = st.builds(built(Timeouts), start=_anything, finish=_anything)


@fuzz(st.lists(_cancels | _anything, max_size=7) | _anything, _timeouts | _anything, _anything)
def test_whatever_is_given_is_declared_or_refused_as_a_configuration(
    cancel_on: Any, timeouts: Any, on_failure: Any
) -> None:
    try:
        app = declare(cancel_on=cancel_on, timeouts=timeouts, on_failure=on_failure)
    except dq.ConfigError as error:
        refused = str(error)
    else:
        refused = "function 'f'"
        for function in app.functions:
            assert declared(app, function)["id"] == function
    assert "function 'f'" in refused
