"""Deploys in the middle of it: another generation is registered by `durableq sync`, then workers become it in turn."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
from collections.abc import Sequence
from random import Random

from tests.acceptance.harness import COMMAND, REPOSITORY, Stage, now_ms
from tests.acceptance.ledger import VARIABLE as LEDGER
from tests.chaos.troupe import Troupe
from tests.ledger.flow.facts import Deploy
from tests.ledger.flow.names import GENERATIONS, VARIABLE


class Deploys:
    """Makes other generations the newest. Processes that are started afterwards are of the one that is."""

    def __init__(self, stage: Stage, apps: Sequence[str], chance: Random) -> None:
        os.environ[VARIABLE] = "0"
        self.made = [Deploy(0, 0.0, 0.0)]
        self._stage = stage
        self._apps = list(apps)
        self._chance = chance

    @property
    def generation(self) -> int:
        return self.made[-1].generation

    async def another(self, troupe: Troupe) -> None:
        """Go on to a generation that is not this one; then tell about half of the workers to leave."""
        await self.to(self._chance.choice([n for n in range(GENERATIONS) if n != self.generation]))
        for worker in troupe.workers:
            if worker.running and worker.pid not in troupe.frozen and self._chance.random() < 0.5:
                troupe.doomed.add(worker)
                worker.signal_group(signal.SIGTERM)

    async def to(self, generation: int) -> None:
        """Make it the newest, however often Redis is away meanwhile."""
        began_ms = now_ms()
        os.environ[VARIABLE] = str(generation)
        environment = {name: text for name, text in os.environ.items() if not name.startswith("DURABLEQ_")}
        environment[LEDGER] = str(self._stage.ledger.path)
        code = None
        while code != 0:
            process = await asyncio.create_subprocess_exec(
                *(*COMMAND, "sync", *self._apps, "--redis-url", self._stage.server.url),
                cwd=REPOSITORY,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
            )
            _, said = await process.communicate()
            code = process.returncode
            if code not in (0, 1):
                raise AssertionError(f"durableq sync left with {code}: {said.decode()[-500:]}")
        self.made.append(Deploy(generation, began_ms, now_ms()))
