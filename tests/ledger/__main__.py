"""Ten thousand runs that wait, under kills, and an account of how each of them ended. `scripts/ledger --help`.

Functions that wait for events, signals, children and races of those, each as `async def` and as `def`, are started, and then
answered (before and after they wait, twice, several by one event), cancelled (by event, client, command line, parent, timeout)
or left to their timeouts, at random. Meanwhile processes and Redis are killed and frozen, as scripts/chaos does it.
When all is quiet these must be true (tests/ledger/judge.py has them in full):

  every run is completed, failed or cancelled, as what was done to it allows, and nothing was recorded afterwards;
  every wait was ended once, by the first event that matches it or by its timeout;
  function.cancelled was seen once of each cancelled run, on_failure ran once for each failed one;
  children went with their parents;
  nothing of it is left in Redis.

Exit code 1 if any is not. The seed draws the same cases and faults again; processes and clocks do not repeat.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import signal
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from tests.acceptance.harness import Stage
from tests.chaos.account import unexpected_errors
from tests.chaos.faults import FAULTS, Fray, deal, redis_frozen, redis_killed
from tests.chaos.troupe import Troupe
from tests.ledger.names import APP_ID
from tests.ledger.play import LEDGER_APP, Play, of_app
from tests.servers import KINDS, ServerPool
from tests.store import invariants
from tests.store.stored import read_stored

SHORT_RUNS = 250


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(
        prog="scripts/ledger", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    length = parser.add_mutually_exclusive_group()
    length.add_argument("--runs", type=int, default=10_000, help="how many are started (default: 10000)")
    length.add_argument("--short", action="store_true", help=f"{SHORT_RUNS} runs: about half a minute")
    parser.add_argument("--seed", type=int, default=None, help="of cases and faults (default: drawn, and printed)")
    parser.add_argument("--rate", type=float, default=60.0, help="runs started per second (default: 60)")
    parser.add_argument("--pause", type=float, default=1.5, help="mean seconds between faults (default: 1.5)")
    parser.add_argument("--no-faults", action="store_true", help="kill nobody")
    parser.add_argument("--spare-redis", action="store_true", help="kill and freeze all but Redis")
    parser.add_argument("--server", choices=["redis7", "valkey"], default="redis7", help="default: redis7")
    parser.add_argument("--logs", type=Path, help="leave ledger and logs in this folder")
    given = parser.parse_args()
    # Who is told to leave takes along what it has started.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    seed = random.SystemRandom().randrange(10**6) if given.seed is None else given.seed
    runs = SHORT_RUNS if given.short else given.runs
    print(f"ledger: seed {seed}, {runs} runs", flush=True)
    with tempfile.TemporaryDirectory(prefix="ledger-") as scratch:
        directory = given.logs or Path(scratch)
        directory.mkdir(parents=True, exist_ok=True)
        pool = ServerPool(Path(scratch))
        try:
            server = pool.start(KINDS[given.server], tcp=True, appendfsync="no")
            sound = asyncio.run(_perform(Stage(server, directory), runs, given, random.Random(seed)))
        finally:
            pool.close()
    sys.exit(0 if sound else 1)


async def _perform(stage: Stage, runs: int, given: argparse.Namespace, chance: random.Random) -> bool:
    began_s = time.monotonic()
    troupe = Troupe(stage, concurrency=50, apps=[LEDGER_APP])
    fray = Fray(stage, troupe, random.Random(chance.random()))
    play = Play(stage, random.Random(chance.random()))
    try:
        for worker in troupe.workers:
            await worker.working()
        over = asyncio.Event()
        spared = {redis_killed, redis_frozen} if given.spare_redis else set()
        faults = {fault: weight for fault, weight in FAULTS.items() if fault not in spared}
        if given.no_faults:
            over.set()
        dealing = asyncio.ensure_future(deal(fray, given.pause, over, faults))
        await play.perform(runs, given.rate)
        over.set()
        await asyncio.gather(dealing, *fray.thawing)
        problems = await play.come_to_rest(troupe.tend)
        quiet_s = time.monotonic() - began_s
        found = of_app(await stage.runs(), APP_ID)
        problems += troupe.deserters + await play.account(found) + list(unexpected_errors(stage))
        problems += invariants.violations(await read_stored(await stage.calls()))
        if not problems:
            problems = await play.clear()
        print(f"faults              {len(fray.blows)} in {quiet_s:.0f} s")
        for name, count in sorted(Counter(blow.name for blow in fray.blows).items()):
            print(f"  {count:6d}  {name}")
    finally:
        await stage.close(quietly=True)
    for problem in problems[:40]:
        print(f"VIOLATION: {problem}")
    if len(problems) > 40:
        print(f"and {len(problems) - 40} more")
    print(f"ledger: {len(problems)} violations" if problems else "ledger: each ended once, as it was meant to")
    return not problems


if __name__ == "__main__":
    main()
