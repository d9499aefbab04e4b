"""Cron: expressions, zones, when they tick, and what a scheduler does about a tick."""

from durableq.model.cron.declared import crons_of
from durableq.model.cron.expression import CRON_MAX, CronExpression, read_expression
from durableq.model.cron.plan import CATCH_UP_MAX, LATE_MS, Due, Plan, planned
from durableq.model.cron.schedule import Schedule
from durableq.model.cron.tick_event import TICK_NAME, tick_event
from durableq.model.cron.zones import read_zone, split_zone

__all__ = [
    "CATCH_UP_MAX",
    "CRON_MAX",
    "LATE_MS",
    "TICK_NAME",
    "CronExpression",
    "Due",
    "Plan",
    "Schedule",
    "crons_of",
    "planned",
    "read_expression",
    "read_zone",
    "split_zone",
    "tick_event",
]
