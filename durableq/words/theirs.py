"""Names of inngest-py, and ours: what somebody who ports code writes out of habit, and what to write instead.

To add one: put it under the class of ours that is given it (or `MODULE`), and a row into docs/from-inngest.md; a test compares
the two. When an option comes that is `absent` here, its row goes, or says the new name.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final, NamedTuple

PAGE: Final = "docs/from-inngest.md"


class Ours(NamedTuple):
    """What there is for one of their names."""

    name: str
    """The name here, or in words what takes its place; "" for nothing yet."""
    remark: str
    """An example, or what to do without."""


class Names(NamedTuple):
    """Their names that something of ours may be given."""

    spoken: str
    """How users refer to it: `app`, `ctx.step`, `EventTrigger`."""
    keywords: Mapping[str, Mapping[str, Ours]]
    """By verb; `__init__` for what makes the object."""
    attributes: Mapping[str, Ours]
    of_class: Mapping[str, Ours] = MappingProxyType({})
    """Attributes that are asked of the class itself."""


def absent(remark: str) -> Ours:
    """No such thing in this version."""
    return Ours("", remark)


def sentence(where: str, name: str, ours: Ours) -> str:
    """The error's message."""
    if ours.name:
        return f"{where}: {name} is inngest-py's name. Here it is {ours.name}: {ours.remark}. {PAGE} has all of them"
    return f"{where}: {name} is inngest-py's, and this version of durableq has no such thing: {ours.remark}. See {PAGE}"


_NO_MIDDLEWARE: Final = absent("there is no middleware yet; wrap the function or the step's body in a decorator")
_NO_KEYS: Final = Ours(
    "redis_url", "nothing is signed, and whoever reaches Redis may send: dq.App('shop', redis_url='redis://…')"
)
_NAMESPACE: Final = Ours("namespace", "dq.App('shop', namespace='staging')")
_RELEASE: Final = Ours("the release", "durableq worker --release 2026-11-22, or DURABLEQ_RELEASE")
_LOG: Final = Ours(
    "ctx.logger, and structlog", "the log stands beside yours and needs no logger: ctx.logger.info('charged', cents=5)"
)
_DEV: Final = Ours("`durableq dev`, or `durableq worker`", "the command says which it is, not the code")
_VALUES: Final = Ours(
    "the codec", "values are recorded as docs/values.md has them, dataclasses and pydantic models by annotation"
)
_PATIENCE: Final = Ours("fixed", "send fails within 2 s when Redis does not answer, and says what was stored")

_CLIENT_OPTIONS: Final = {
    "app_id": Ours("the first argument, id", "dq.App('shop'); a Client belongs to no app"),
    "api_base_url": _NO_KEYS,
    "app_version": _RELEASE,
    "env": _NAMESPACE,
    "event_api_base_url": _NO_KEYS,
    "event_key": _NO_KEYS,
    "is_production": _DEV,
    "logger": _LOG,
    "middleware": _NO_MIDDLEWARE,
    "request_timeout": _PATIENCE,
    "serializer": _VALUES,
    "signing_key": _NO_KEYS,
}
_CLIENT_ATTRIBUTES: Final = {
    "app_id": Ours("app.id", "print(app.id)"),
    "app_version": _RELEASE,
    "api_origin": _NO_KEYS,
    "event_api_origin": _NO_KEYS,
    "env": _NAMESPACE,
    "event_key": _NO_KEYS,
    "signing_key": _NO_KEYS,
    "signing_key_fallback": _NO_KEYS,
    "is_production": _DEV,
    "logger": _LOG,
    "add_middleware": _NO_MIDDLEWARE,
    "set_logger": _LOG,
    "create_function": Ours(
        "app.function", "@app.function('process-order', triggers=[dq.EventTrigger('order/created')])"
    ),
}
_SKIP: Final = {"skip_middleware": absent("there is no middleware to skip")}
_STEP: Final = Names(
    "ctx.step",
    {
        "sleep": {"step_id": Ours("the first argument, id", "ctx.step.sleep('grace-period', '10m')")},
        "sleep_until": {
            "step_id": Ours("the first argument, id", "ctx.step.sleep_until('morning', tomorrow)"),
            "until": Ours("when", "ctx.step.sleep_until('morning', tomorrow)"),
        },
        "send_event": {
            "step_id": Ours("the first argument, id", "ctx.step.send_event('announce', dq.Event('order/shipped', {…}))")
        },
        "wait_for_event": {
            "step_id": Ours(
                "the first argument, id", "ctx.step.wait_for_event('paid', 'payment/settled', timeout='3d')"
            ),
            "if_exp": Ours(
                "if_",
                "ctx.step.wait_for_event('paid', 'payment/settled', timeout='3d', if_='event.data.id == async.data.id')",
            ),
            "match": Ours("if_", "match='data.id' is if_='event.data.id == async.data.id'"),
        },
        "invoke": {
            "step_id": Ours("the first argument, id", "ctx.step.invoke('invoice', make_invoice, data={…})"),
            "function_id": Ours("the second argument", "ctx.step.invoke('invoice', 'billing/make-invoice', data={…})"),
            "app_id": Ours("part of the function's id", "ctx.step.invoke('invoice', 'billing/make-invoice', data={…})"),
            "v": absent("a call has no version; put one into data"),
        },
    },
    {
        "invoke_by_id": Ours("invoke", "ctx.step.invoke('invoice', 'billing/make-invoice', data={…})"),
        "parallel": Ours(
            "asyncio.gather, or ctx.parallel in def functions", "await asyncio.gather(ctx.step.run(…), ctx.step.run(…))"
        ),
        "ai": Ours("a plain step", "ctx.step.run('ask', client.messages.create, …): no server calls for you"),
    },
)
_GROUP: Final = {
    "group": Ours(
        "asyncio.gather, or ctx.parallel in def functions",
        "await asyncio.gather(ctx.step.run(…), ctx.step.run(…)); ctx.parallel(lambda: ctx.step.run(…), …)",
    )
}

TABLE: Final[Mapping[str, Names]] = {
    "App": Names(
        "app",
        {
            "__init__": _CLIENT_OPTIONS,
            "function": {
                "fn_id": Ours("the first argument, id", "@app.function('process-order', triggers=[…])"),
                "trigger": Ours("triggers", "triggers=[dq.EventTrigger('order/created')]"),
                "batch_events": Ours("batch", "batch=dq.Batch(100, timeout='5s')"),
                "cancel": Ours(
                    "cancel_on", "cancel_on=[dq.CancelOn('order/cancelled', if_='event.data.id == async.data.id')]"
                ),
                "middleware": _NO_MIDDLEWARE,
                "output_type": Ours("the return annotation", "async def process_order(ctx: dq.Context) -> Receipt: …"),
            },
            "send": _SKIP,
            "send_sync": _SKIP,
        },
        _CLIENT_ATTRIBUTES,
    ),
    "Client": Names(
        "client",
        {"__init__": _CLIENT_OPTIONS, "send": _SKIP},
        {
            **_CLIENT_ATTRIBUTES,
            "send_sync": Ours("client.sync.send", "client.sync.send(dq.Event('order/created', {}))"),
        },
    ),
    "Function": Names(
        "function",
        {},
        {
            "local_id": Ours("id", "process_order.id is 'process-order'"),
            "on_failure_fn_id": Ours("id + ':on-failure'", "f'{process_order.id}:on-failure'"),
            "is_handler_async": Ours("is_async", "process_order.is_async"),
            "is_on_failure_handler_async": absent("on_failure may be async def or def, whatever the function is"),
        },
    ),
    "Context": Names("ctx", {}, _GROUP),
    "SyncContext": Names("ctx", {}, _GROUP),
    "Step": _STEP,
    "SyncStep": _STEP,
    "EventTrigger": Names(
        "EventTrigger",
        {"__init__": {"expression": Ours("if_", "dq.EventTrigger('order/created', if_='event.data.total > 100')")}},
        {},
    ),
    "CancelOn": Names(
        "CancelOn",
        {"__init__": {"if_exp": Ours("if_", "dq.CancelOn('order/cancelled', if_='event.data.id == async.data.id')")}},
        {},
    ),
    "Batch": Names(
        "Batch",
        {
            "__init__": {
                "max_size": Ours("the first argument, size", "dq.Batch(100, timeout='5s')"),
                "if_exp": Ours("if_", "dq.Batch(100, timeout='5s', if_='event.data.total < 100')"),
            }
        },
        {},
    ),
    "Event": Names(
        "Event", {}, {}, {"from_raw": Ours("the constructor", "dq.Event(raw['name'], raw['data'], id=raw['id'])")}
    ),
    "NonRetriableError": Names(
        "NonRetriableError",
        {
            "__init__": {
                "message": Ours("the first argument", "raise dq.NonRetriableError('no such order')"),
                "quiet": absent("a final failure is one line of the log"),
            }
        },
        {},
    ),
    "RetryAfterError": Names(
        "RetryAfterError",
        {"__init__": {"quiet": absent("a failed attempt is one line of the log")}},
        {},
    ),
}
"""By class of ours."""

_SERVE: Final = Ours(
    "`durableq worker`", "functions are executed by `durableq worker shop.app:app`; nothing is served over HTTP"
)
_IN_CTX: Final = Ours("ctx.step", "async def process_order(ctx: dq.Context) -> str: … ctx.step.run(…)")

MODULE: Final[Mapping[str, Ours]] = {
    "Inngest": Ours("App, and Client without functions", "app = dq.App('shop')"),
    "TriggerEvent": Ours("EventTrigger", "dq.EventTrigger('order/created', if_='event.data.total > 100')"),
    "TriggerCron": Ours("CronTrigger", "dq.CronTrigger('0 9 * * *', timezone='Europe/Paris')"),
    "Cancel": Ours("CancelOn", "dq.CancelOn('order/cancelled', if_='event.data.id == async.data.id')"),
    "ContextSync": Ours("SyncContext", "def report(ctx: dq.SyncContext) -> int: …"),
    "Step": _IN_CTX,
    "StepSync": _IN_CTX,
    "ParallelMode": Ours(
        "asyncio.gather and asyncio.wait", "asyncio.wait(…, return_when=asyncio.FIRST_COMPLETED) is a race"
    ),
    "Priority": Ours("an expression", "priority=\"event.data.plan == 'pro' ? 120 : 0\""),
    "Middleware": _NO_MIDDLEWARE,
    "MiddlewareSync": _NO_MIDDLEWARE,
    "TransformOutputResult": _NO_MIDDLEWARE,
    "StepMemos": _NO_MIDDLEWARE,
    "Serializer": _VALUES,
    "PydanticSerializer": _VALUES,
    "SendEventsResult": Ours("a list of ids, or SendError", "ids = await app.send(events)"),
    "Streaming": _SERVE,
    "JSON": Ours("the codec's values", "docs/values.md has what may be recorded"),
    "fast_api": _SERVE,
    "flask": _SERVE,
    "django": _SERVE,
    "tornado": _SERVE,
    "digital_ocean": _SERVE,
    "connect": _SERVE,
    "experimental": Ours(
        "durableq.testing for mocked, `durableq dev` for dev_server", "from durableq.testing import TestEnv"
    ),
}
"""Names of the module itself."""

VALUES: Final[Mapping[str, Mapping[str, Ours]]] = {
    "Concurrency scope": {
        "fn": Ours("'function'", "dq.Concurrency(10, scope='function'), which is the default"),
        "env": Ours("'namespace'", "dq.Concurrency(10, key=\"'openai'\", scope='namespace')"),
        "account": Ours("'namespace', the widest", "dq.Concurrency(10, key=\"'openai'\", scope='namespace')"),
    },
}
"""Values of theirs for options that have the same name, by class and option."""
