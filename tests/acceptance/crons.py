"""An app of cron triggers, which tick every minute."""

from __future__ import annotations

import os

import durableq as dq
from tests.acceptance.ledger import VARIABLE, Ledger

app = dq.App("crons")
FUNCTIONS = 12


def _declare(number: int) -> None:
    triggers = [dq.CronTrigger("* * * * *", timezone="Europe/Paris", catch_up="all", jitter="5s" if number % 2 else 0)]

    @app.function(f"every-{number}", triggers=triggers)
    async def every(ctx: dq.Context) -> str:
        """Says that it was here."""
        ledger = Ledger(os.environ[VARIABLE])  # here, since the tests import this module too
        ledger.write("ticked", ctx.run_id, ctx.event.data["scheduled_at"])
        ledger.close()
        return str(ctx.event.data["scheduled_at"])


for _number in range(FUNCTIONS):
    _declare(_number)
