"""Every public name of inngest-py 0.5.18, and what becomes of it here. Data only; `inngest` is not imported.

A row: where it stands there (as docs/from-inngest.md writes it), the name, and one of
    same      the same name means the same here
    keyword   given as a keyword, it raises an error that says ours
    attribute asked for on an object, likewise
    module    asked of the module, likewise
    told      the page says what becomes of it; nothing can be caught (a command, a variable, another package)
"""

from __future__ import annotations

from typing import Final, NamedTuple


class Name(NamedTuple):
    where: str
    name: str
    kind: str


def _rows(where: str, **kinds: str) -> list[Name]:
    return [Name(where, name, kind) for kind, names in kinds.items() for name in names.split()]


NAMES: Final = [
    *_rows(
        "inngest",
        same="""Batch Concurrency Context Debounce Event Function NonRetriableError RateLimit RetryAfterError Singleton
            StepError Throttle Timeouts""",
        module="""Cancel ContextSync Inngest JSON Middleware MiddlewareSync ParallelMode Priority PydanticSerializer
            SendEventsResult Serializer Step StepMemos StepSync Streaming TransformOutputResult TriggerCron TriggerEvent connect
            digital_ocean django experimental fast_api flask tornado""",
    ),
    *_rows(
        "Inngest(…)",
        keyword="""app_id api_base_url app_version env event_api_base_url event_key is_production logger middleware
            request_timeout serializer signing_key""",
    ),
    *_rows(
        "client",
        same="send",
        attribute="""app_id app_version api_origin event_api_origin env event_key signing_key signing_key_fallback
            is_production logger add_middleware set_logger create_function""",
    ),
    *_rows("client.send", same="events", keyword="skip_middleware"),
    *_rows("client.send_sync", same="events", keyword="skip_middleware"),
    *_rows(
        "create_function",
        same="""name retries on_failure timeouts concurrency debounce idempotency priority rate_limit singleton throttle""",
        keyword="fn_id trigger batch_events cancel middleware output_type",
    ),
    *_rows(
        "Function",
        same="id name",
        attribute="local_id on_failure_fn_id is_handler_async is_on_failure_handler_async",
    ),
    *_rows("ctx", same="attempt event events logger run_id step", attribute="group"),
    *_rows("ctx.group", told="parallel"),  # ctx.group itself is refused
    *_rows("ctx.group.parallel", told="callables parallel_mode"),
    *_rows(
        "ctx.step",
        same="run sleep sleep_until wait_for_event send_event invoke",
        attribute="invoke_by_id ai",
    ),
    *_rows("ctx.step.run", told="step_id handler handler_args output_type"),
    *_rows("ctx.step.sleep", same="duration", keyword="step_id"),
    *_rows("ctx.step.sleep_until", keyword="step_id until"),
    *_rows("ctx.step.wait_for_event", same="event timeout", keyword="step_id if_exp"),
    *_rows("ctx.step.send_event", same="events", keyword="step_id"),
    *_rows("ctx.step.invoke", same="function data timeout", keyword="step_id v"),
    *_rows("ctx.step.invoke_by_id", told="step_id function_id app_id data timeout v"),
    *_rows("ctx.step.ai", told="infer"),
    *_rows("Batch", same="timeout key", keyword="max_size if_exp"),
    *_rows("Cancel", same="event timeout", keyword="if_exp"),
    *_rows("Concurrency", same="limit key", told="scope"),  # whose values are refused
    *_rows("Debounce", same="period key timeout"),
    *_rows("Priority", told="run"),
    *_rows("RateLimit", same="limit period key"),
    *_rows("Singleton", same="mode key"),
    *_rows("Throttle", same="limit period key burst"),
    *_rows("Timeouts", same="start finish"),
    *_rows("TriggerCron", same="cron jitter"),
    *_rows("TriggerEvent", same="event", keyword="expression"),
    *_rows("Event", same="name data id ts", attribute="from_raw"),
    *_rows("NonRetriableError", keyword="message quiet"),
    *_rows("RetryAfterError", same="message retry_after", keyword="quiet"),
    *_rows("StepError", same="message name stack"),
    *_rows("SendEventsResult", told="ids error"),
    *_rows("ParallelMode", told="WAIT RACE"),
    *_rows("inngest.fast_api", told="serve"),
    *_rows("inngest.flask", told="serve"),
    *_rows("inngest.django", told="serve"),
    *_rows("inngest.tornado", told="serve"),
    *_rows("inngest.digital_ocean", told="serve"),
    *_rows("serve", told="app client functions serve_origin serve_path streaming"),
    *_rows(
        "inngest.connect",
        told="connect ConnectionState WorkerConnection",
    ),
    *_rows(
        "connect",
        told="instance_id rewrite_gateway_endpoint shutdown_signals max_worker_concurrency",
    ),
    *_rows("WorkerConnection", told="start close closed get_state get_connection_id wait_for_state"),
    *_rows(
        "environment",
        told="""INNGEST_ALLOW_IN_BAND_SYNC INNGEST_API_BASE_URL INNGEST_BASE_URL INNGEST_DEV INNGEST_EVENT_API_BASE_URL
            INNGEST_EVENT_KEY INNGEST_ENV INNGEST_THREAD_POOL_MAX_WORKERS INNGEST_SERVE_ORIGIN INNGEST_SERVE_PATH
            INNGEST_SIGNING_KEY INNGEST_SIGNING_KEY_FALLBACK INNGEST_STREAMING INNGEST_CONNECT_MAX_WORKER_CONCURRENCY""",
    ),
    *_rows(
        "inngest.experimental",
        told="ai dev_server mocked realtime remote_state_middleware sentry_middleware get_step_context step",
    ),
    *_rows("dev_server.server", told="start stop"),
    *_rows("mocked", told="Inngest trigger Status Timeout UnstubbedStepError"),
    *_rows("mocked.trigger", told="step_stubs status output error"),
    *_rows("realtime", told="publish get_subscription_token"),
    *_rows("remote_state_middleware", told="InMemoryDriver S3Driver"),
    *_rows(
        "system events",
        told="""inngest/function.finished inngest/function.failed inngest/function.cancelled inngest/function.invoked
            inngest/scheduled.timer""",
    ),
]
