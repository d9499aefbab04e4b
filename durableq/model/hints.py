"""Hints: what to do about errors of Python's own that a newcomer to steps meets, since Python cannot know of steps.

To add one: the error's class, a pattern of its text, the hint, in which {0} is the pattern's first group. It is appended
to the recorded message.
"""

from __future__ import annotations

import re
from typing import Final

AWAIT: Final = "an `await` is missing before the call that gave the coroutine, as in `await ctx.step.run(…)`"
LOOP: Final = (
    "an `async def` function is executed inside a running loop: write `await` instead, "
    "or put plain code that needs a loop of its own into a `def` step, which gets a thread"
)
PLAIN: Final = (
    "in a `def` function the verbs of ctx.step return the result itself: leave out the asyncio.run around them"
)

NO_AWAIT: Final = "what is awaited is a plain value: leave out the `await`"
STEP: Final = "a step has an id, a function and its arguments: ctx.step.run('load-order', load_order, order_id)"
SLEEP: Final = "a sleep has an id and a length: ctx.step.sleep('grace-period', '5m')"
EVENT_WAIT: Final = (
    "a wait has an id, a name, and its timeout by name: "
    "ctx.step.wait_for_event('payment', 'payment/settled', timeout='3d')"
)
SIGNAL_WAIT: Final = (
    "a wait has an id, a name, and its timeout by name: ctx.step.wait_for_signal('signed', 'contract-7', timeout='3d')"
)
INVOKE: Final = (
    "an invoke has an id, a function, and by name its data: ctx.step.invoke('invoice', make_invoice, data={{…}})"
)
OF_THE_CHILD: Final = "a run that is invoked has the {0} of its own function: give them to that one's @app.function(…)"
TYPED: Final = "write ctx.step.options(output_type=…).{0}(…)"
OVER: Final = "if a wait gave it: None is a time that is over"
OPTIONS: Final = "if it was meant for the step, write ctx.step.options({0}=…).run(…)"
ON_STEP: Final = "the verbs are on the step: ctx.step.{0}(…)"
ON_EVENT: Final = "it belongs to the event: ctx.event.{0}"
FIELDS: Final = "an event has fields: ctx.event.data['order_id'], ctx.event.name, ctx.event.id"

HINTS: Final = (
    (TypeError, re.compile(r"""['"]coroutine['"]|, not coroutine"""), AWAIT),
    (AttributeError, re.compile(r"'coroutine' object has no attribute"), AWAIT),
    (RuntimeError, re.compile(r"\brun\(\) cannot be called from a running event loop"), LOOP),
    (RuntimeError, re.compile(r"event loop is already running|the event loop while another loop is running"), LOOP),
    (ValueError, re.compile(r"a coroutine was expected, got "), PLAIN),
    (TypeError, re.compile(r"An asyncio\.Future, a coroutine or an awaitable is required"), PLAIN),
    (TypeError, re.compile(r"can't be used in 'await' expression|object can't be awaited"), NO_AWAIT),
    (TypeError, re.compile(r"Step\.run\(\) missing .*'(?:fn|id)'"), STEP),
    (TypeError, re.compile(r"Step\.sleep\(\) missing "), SLEEP),
    (TypeError, re.compile(r"Step\.wait_for_event\(\) (?:missing|takes) "), EVENT_WAIT),
    (TypeError, re.compile(r"Step\.wait_for_signal\(\) (?:missing|takes) "), SIGNAL_WAIT),
    (TypeError, re.compile(r"Step\.invoke\(\) (?:missing|takes) "), INVOKE),
    (TypeError, re.compile(r"Step\.invoke\(\) got an unexpected keyword argument '(retries|backoff)'"), OF_THE_CHILD),
    (TypeError, re.compile(r"Step\.(\w+)\(\) got an unexpected keyword argument 'output_type'"), TYPED),
    (TypeError, re.compile(r"got an unexpected keyword argument '(retries|timeout|backoff|output_type)'"), OPTIONS),
    (
        AttributeError,
        re.compile(
            r"'(?:Sync)?Context' object has no attribute "
            r"'(run|sleep|sleep_until|send_event|wait_for_event|wait_for_signal|send_signal|invoke)'"
        ),
        ON_STEP,
    ),
    (AttributeError, re.compile(r"'(?:Sync)?Context' object has no attribute '(data|name|ts)'"), ON_EVENT),
    (TypeError, re.compile(r"'Event' object is not subscriptable"), FIELDS),
    (AttributeError, re.compile(r"'NoneType' object has no attribute 'data'"), OVER),
)


def hint_of(error: BaseException, message: str) -> str:
    """What to do about this error, or ""."""
    for kind, pattern, hint in HINTS:
        if type(error) is kind and (found := pattern.search(message)):
            return hint.format(*found.groups())
    return ""
