"""The troupe: workers and schedulers that are started again when they are gone, as a platform does."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

from tests.acceptance.harness import APP, Process, Stage

WORKERS = (
    ("--grace", "3s"),
    ("--grace", "3s", "--processes", "2"),
    ("--grace", "3s", "--max-runs-per-child", "150", "--with-scheduler"),
)
SCHEDULERS = 2


class Troupe:
    """Who is on stage. `tend` is called every so often."""

    def __init__(
        self,
        stage: Stage,
        concurrency: int,
        apps: Sequence[str] = (APP,),
        workers: Sequence[tuple[str, ...]] = WORKERS,
    ) -> None:
        """`workers`: the options of each."""
        self._stage = stage
        self._apps = list(apps)
        self._concurrency = concurrency
        self._options = workers
        self.workers = [self._worker(options) for options in workers]
        self.schedulers = [stage.scheduler() for _ in range(SCHEDULERS)]
        self.doomed: set[Process] = set()
        """Those that were told or made to go."""
        self.frozen: set[int] = set()
        """Pids of parents and children that are stopped: left alone by other faults."""
        self.deserters: list[str] = []
        """Those that left of their own accord."""

    def _worker(self, options: tuple[str, ...]) -> Process:
        return self._stage.worker(*self._apps[1:], *options, concurrency=self._concurrency, app=self._apps[0])

    def tend(self) -> None:
        """Start again what is gone."""
        for place, worker in enumerate(self.workers):
            if self._gone(worker):
                self.workers[place] = self._worker(self._options[place])
        for place, scheduler in enumerate(self.schedulers):
            if self._gone(scheduler):
                self.schedulers[place] = self._stage.scheduler()

    def _gone(self, process: Process) -> bool:
        if process.running:
            return False
        if process not in self.doomed:
            self.deserters.append(f"{process.name} (pid {process.pid}) left unasked, with {process.exit_code}")
        return True

    def any_worker(self, chance: Random) -> Process | None:
        """One that is fair game: running, and not frozen."""
        return self._any(self.workers, chance)

    def any_scheduler(self, chance: Random) -> Process | None:
        return self._any(self.schedulers, chance)

    def any_child(self, chance: Random) -> int | None:
        worker = self.any_worker(chance)
        children = [pid for pid in worker.children if pid not in self.frozen] if worker else []
        return chance.choice(children) if children else None

    def _any(self, processes: list[Process], chance: Random) -> Process | None:
        fair = [process for process in processes if process.running and process.pid not in self.frozen]
        return chance.choice(fair) if fair else None
