"""`client.bulk`: one thing done to all runs of a filter."""

from __future__ import annotations

from typing import TYPE_CHECKING

from durableq.model.run_filter import RunFilter
from durableq.runs import READ_PATIENCE_S
from durableq.services.bulk import Bulk, BulkReport, Operation, Tell, check_bulk_id, new_bulk_id
from durableq.words.errors import ConfigError
from durableq.words.shown import shown

if TYPE_CHECKING:
    from durableq.client import Client


class BulkOfClient:
    """`client.bulk`. To know how many runs a filter means, ask `client.runs.count(filter)` first.

    Each operation goes through the runs in hundreds. It is no act of its own: runs go on meanwhile, and what became of each
    by its turn is counted in the report. What is created after it began is not meant. `on_progress` is called with a report
    after each hundred, and while it waits for room in Redis. A bulk may be cut off anywhere and done again.
    """

    def __init__(self, client: Client) -> None:
        self._client = client

    async def cancel(self, runs: RunFilter, *, on_progress: Tell | None = None) -> BulkReport:
        """Cancel the queued, running and waiting runs of a filter, as `Client.cancel` does. To do it again is safe.

        Raises:
            ConfigError: The filter asks for runs that have ended, or says nothing, which would be all of them.
            FunctionNotFound: It names a function that is not registered and has no runs.
            RedisUnavailable: Redis did not answer within 10 s.
            StateLost: The namespace in Redis is not the one this process knew.
        """
        return await self._perform("cancel", runs, None, on_progress)

    async def rerun(
        self, runs: RunFilter, *, bulk_id: str | None = None, on_progress: Tell | None = None
    ) -> BulkReport:
        """Do the ended runs of a filter again, each as `Client.rerun` does.

        Args:
            runs: Which. Without a status completed, failed and cancelled ones.
            bulk_id: That of a rerun which did not come to its end, with the same filter: goes on with it. What it has
                started already is not started twice.
            on_progress: Called with how far it has come.

        Raises:
            ConfigError: The filter asks for runs that have not ended, or says nothing; or this is no bulk's id.
            FunctionNotFound, RedisUnavailable, StateLost: As `cancel`. The error has a note with the bulk's id.
        """
        return await self._perform("rerun", runs, bulk_id, on_progress)

    async def resume(
        self, runs: RunFilter, *, bulk_id: str | None = None, on_progress: Tell | None = None
    ) -> BulkReport:
        """Have the failed and cancelled runs of a filter go on, each as `client.runs.resume` does. Otherwise as `rerun`."""
        return await self._perform("resume", runs, bulk_id, on_progress)

    async def _perform(
        self, operation: Operation, runs: RunFilter, bulk_id: str | None, on_progress: Tell | None
    ) -> BulkReport:
        if not isinstance(runs, RunFilter):
            raise ConfigError(f"bulk.{operation} takes a RunFilter, not {type(runs).__name__}: {shown(runs)}")
        if runs == RunFilter():
            raise ConfigError(
                f"bulk.{operation} takes a filter that says which runs, and RunFilter() is every run of the namespace: "
                "if that is what you want, say it: RunFilter(where='true')"
            )
        if on_progress is not None and not callable(on_progress):
            raise ConfigError(
                f"bulk.{operation}: on_progress must be a function of a BulkReport, not {shown(on_progress)}"
            )
        known = None if bulk_id is None else check_bulk_id(bulk_id)
        calls = await self._client._calls(READ_PATIENCE_S)
        bulk = Bulk(
            calls,
            self._client._limits,
            operation,
            runs,
            known or await new_bulk_id(calls),
            why="by a client",
            tell=on_progress or _quiet,
        )
        return await bulk.perform()


def _quiet(_: BulkReport) -> None:
    """Where nobody wants to be told."""
