"""What flow control promises, under kills and deploys, held against what functions wrote. `scripts/ledger flow --help`.

Functions with every limiter, alone and in combinations, each as `async def` and as `def`, write when each body of theirs
began and ended. They are executed by four workers and two schedulers, which are killed, frozen and told to leave, as Redis is
killed and frozen; meanwhile deploys raise and lower the numbers, and go back. First and last all is left in peace for a while.
When everything has come to rest, judges go through it (tests/ledger/flow/judge.py has them):

  concurrency    never more bodies at once than the limit, of those whose process held its lease; lowered: none comes in above;
  order          the oldest of a key begins first; nobody waits where there is room; a blocked key holds up no other;
  throttle       starts no nearer than 0.95 T, in calm every T within 5 %; no burst above the burst;
  rate limit     each event admitted or left out exactly as a list of the admissions says;
  debounce       one firing per quiet period, with the newest event, by its timeout; batches lose and repeat nothing;
  singleton      one body per key at every instant; skipped for a living run, displaced by a newer one; idempotency: once;
  and no slot, lane or lock is left over, and every run has ended.

Exit code 1 if any is not. The seed draws the same traffic and faults again; processes and clocks do not repeat.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from tests.acceptance.harness import COMMAND, REPOSITORY, Stage
from tests.chaos.account import unexpected_errors
from tests.chaos.faults import FAULTS, Fray, deal, redis_frozen, redis_killed
from tests.chaos.troupe import Troupe
from tests.ledger.flow.play import FLOW_APPS, FlowPlay
from tests.servers import KINDS, ServerPool
from tests.store import invariants
from tests.store.stored import read_stored

SHORT_S = 20.0
CALM_S = 30.0
WORKERS = (
    ("--grace", "3s"),
    ("--grace", "3s", "--processes", "2"),
    ("--grace", "3s", "--max-runs-per-child", "150", "--with-scheduler"),
    ("--grace", "3s"),
)
EXPECTED_FINDINGS = ("appendfsync",)


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(
        prog="scripts/ledger flow", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    length = parser.add_mutually_exclusive_group()
    length.add_argument("--runs", type=int, default=10_000, help="how many events are sent at least (default: 10000)")
    length.add_argument("--seconds", type=float, help="send for so long instead")
    length.add_argument("--short", action="store_true", help=f"{SHORT_S:g} s")
    parser.add_argument("--seed", type=int, default=None, help="of traffic and faults (default: drawn, and printed)")
    parser.add_argument("--rate", type=float, default=50.0, help="events per second (default: 50)")
    parser.add_argument("--pause", type=float, default=2.0, help="mean seconds between faults (default: 2)")
    parser.add_argument("--deploys", type=float, default=15.0, help="seconds between deploys; 0: none (default: 15)")
    parser.add_argument("--no-faults", action="store_true", help="kill nobody")
    parser.add_argument("--spare-redis", action="store_true", help="kill and freeze all but Redis")
    parser.add_argument("--server", choices=["redis7", "valkey"], default="redis7", help="default: redis7")
    parser.add_argument("--logs", type=Path, help="leave notes and logs in this folder")
    given = parser.parse_args()
    # Who is told to leave takes along what it has started.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    seed = random.SystemRandom().randrange(10**6) if given.seed is None else given.seed
    seconds = SHORT_S if given.short else given.seconds
    print(f"ledger flow: seed {seed}, {f'{seconds:g} s' if seconds else f'{given.runs} events'}", flush=True)
    with tempfile.TemporaryDirectory(prefix="ledger-") as scratch:
        directory = given.logs or Path(scratch)
        directory.mkdir(parents=True, exist_ok=True)
        pool = ServerPool(Path(scratch))
        try:
            # `no`: the kernel has every write before its reply leaves, so kill -9 of Redis loses nothing.
            server = pool.start(KINDS[given.server], tcp=True, appendfsync="no")
            sound = asyncio.run(_perform(Stage(server, directory), seconds, given, random.Random(seed)))
        finally:
            pool.close()
    sys.exit(0 if sound else 1)


async def _perform(stage: Stage, seconds: float | None, given: argparse.Namespace, chance: random.Random) -> bool:
    play = FlowPlay(stage, random.Random(chance.random()))
    troupe = Troupe(stage, concurrency=40, apps=FLOW_APPS, workers=WORKERS)
    fray = Fray(stage, troupe, random.Random(chance.random()))
    calm_s = CALM_S if seconds is None else seconds / 5
    try:
        for worker in troupe.workers:
            await worker.working()
        began_s = time.monotonic()

        def sent_enough() -> bool:
            return play.sent >= given.runs if seconds is None else time.monotonic() > began_s + seconds

        blocking = asyncio.ensure_future(play.block(1000 if seconds is None else 100, calm_s / 2))
        sending = asyncio.ensure_future(play.send_many(given.rate, sent_enough))
        keeping_on = asyncio.ensure_future(play.keep_on(sent_enough))
        deploying = asyncio.ensure_future(
            play.deploy_often(troupe, given.deploys, sent_enough) if given.deploys else asyncio.sleep(0)
        )
        await _tended(troupe, calm_s)
        await blocking
        over = asyncio.Event()
        spared = {redis_killed, redis_frozen} if given.spare_redis else set()
        faults = {fault: weight for fault, weight in FAULTS.items() if fault not in spared}
        if given.no_faults:
            over.set()
        dealing = asyncio.ensure_future(deal(fray, given.pause, over, faults))
        while not sending.done():
            troupe.tend()
            await asyncio.wait({sending}, timeout=0.5)
        over.set()
        await asyncio.gather(sending, keeping_on, deploying, dealing, *fray.thawing)
        if seconds is None:
            calm_until_s = time.monotonic() + 2 * CALM_S  # what was dealt last is over by half of it
            again = asyncio.ensure_future(play.send_many(given.rate, lambda: time.monotonic() > calm_until_s))
            await _tended(troupe, 2 * CALM_S)
            await again
        problems = await play.come_to_rest(troupe.tend)
        quiet_s = time.monotonic() - began_s
        problems += troupe.deserters + await play.account(await stage.runs(), fray.blows)
        problems += list(unexpected_errors(stage))
        problems += invariants.violations(await read_stored(await stage.calls()))
        problems += _findings(stage)
        if not problems:
            problems = await play.clear()
        print(f"faults              {len(fray.blows)} in {quiet_s:.0f} s; {play.retried} sends were made again")
        for name, count in sorted(Counter(blow.name for blow in fray.blows).items()):
            print(f"  {count:6d}  {name}")
    finally:
        await stage.close(quietly=True)
    for problem in problems[:40]:
        print(f"VIOLATION: {problem}")
    if len(problems) > 40:
        print(f"and {len(problems) - 40} more")
    print(f"ledger flow: {len(problems)} violations" if problems else "ledger flow: every limit was kept")
    return not problems


async def _tended(troupe: Troupe, seconds: float) -> None:
    until_s = time.monotonic() + seconds
    while time.monotonic() < until_s:
        troupe.tend()
        await asyncio.sleep(0.5)


def _findings(stage: Stage) -> list[str]:
    """What `durableq doctor` has to say of the namespace when all is quiet."""
    done = subprocess.run(
        [*COMMAND, "doctor", "--json", "--redis-url", stage.server.url],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    if not done.stdout.startswith("["):
        return [f"doctor said: {done.stdout} {done.stderr}"]
    return [f"doctor: {found}" for found in json.loads(done.stdout) if found["severity"] == "problem"]


if __name__ == "__main__":
    main()
