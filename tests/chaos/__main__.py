"""Kill processes for a while, under load, and account for everything at the end. `scripts/chaos --help`.

Producers send a mix of programs (tests/acceptance/programs.py) to three workers and two schedulers on a Redis of its own,
while children, parents, whole workers, schedulers and Redis are killed, frozen, cut off and told to leave at random, and
started again as a platform does. Then all of it is left in peace until every run has ended, and these must be true:

  every accepted event has exactly one run, completed or failed as its program says;
  no body of a step began after its result was recorded;
  runs that wait ended as what was done to them allows (scripts/ledger has more of them);
  every limiter was kept, while deploys changed the numbers (scripts/ledger flow has more of it);
  no process left of its own accord, and none logged an error that no fault explains.

Exit code 1 if any is not. The seed draws the same faults again; processes and clocks do not repeat.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import signal
import statistics
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from tests.acceptance.harness import APP, Stage, until
from tests.chaos import account
from tests.chaos.faults import Fray, deal
from tests.chaos.producers import Sending, produce
from tests.chaos.troupe import Troupe
from tests.ledger.flow.play import FLOW_APPS, FlowPlay
from tests.ledger.names import APP_ID
from tests.ledger.play import LEDGER_APP, Play, of_app
from tests.servers import KINDS, ServerPool

SHORT_MINUTES = 0.75
DEPLOY_EVERY_S = 12.0
QUIET_WITHIN_S = 120.0


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(
        prog="scripts/chaos", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    length = parser.add_mutually_exclusive_group()
    length.add_argument("--minutes", type=float, default=5.0, help="how long faults are dealt (default: 5)")
    length.add_argument("--short", action="store_true", help="under two minutes in all, as in continuous integration")
    parser.add_argument(
        "--seed", type=int, default=None, help="of what is sent and dealt (default: drawn, and printed)"
    )
    parser.add_argument("--rate", type=float, default=12.0, help="events per second in all (default: 12)")
    parser.add_argument(
        "--waits", type=float, default=5.0, help="runs of scripts/ledger, which wait, per second beside (default: 5)"
    )
    parser.add_argument(
        "--flow",
        type=float,
        default=8.0,
        help="events of scripts/ledger flow, under limits, per second beside (default: 8)",
    )
    parser.add_argument("--pause", type=float, default=1.5, help="mean seconds between faults (default: 1.5)")
    parser.add_argument("--server", choices=["redis7", "valkey"], default="redis7", help="default: redis7")
    parser.add_argument("--logs", type=Path, help="leave ledger and logs in this folder")
    given = parser.parse_args()
    # Who is told to leave takes along what it has started.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    seed = random.SystemRandom().randrange(10**6) if given.seed is None else given.seed
    minutes = SHORT_MINUTES if given.short else given.minutes
    print(f"chaos: seed {seed}, {minutes:g} min of faults", flush=True)
    with tempfile.TemporaryDirectory(prefix="chaos-") as scratch:
        directory = given.logs or Path(scratch)
        directory.mkdir(parents=True, exist_ok=True)
        pool = ServerPool(Path(scratch))
        try:
            # `no`: the kernel has every write before its reply leaves, so kill -9 of Redis loses nothing.
            server = pool.start(KINDS[given.server], tcp=True, appendfsync="no")
            sound = asyncio.run(_perform(Stage(server, directory), minutes * 60, random.Random(seed), given))
        finally:
            pool.close()
    sys.exit(0 if sound else 1)


async def _perform(stage: Stage, seconds: float, chance: random.Random, given: argparse.Namespace) -> bool:
    rate, waits, pause_s = given.rate, given.waits, given.pause
    flow = FlowPlay(stage, random.Random(chance.random()))
    troupe = Troupe(stage, concurrency=30, apps=[APP, LEDGER_APP, *FLOW_APPS])
    fray = Fray(stage, troupe, random.Random(chance.random()))
    sending, stop = Sending(), asyncio.Event()
    try:
        for worker in troupe.workers:
            await worker.working()
        producers = [
            asyncio.ensure_future(produce(stage, random.Random(chance.random()), rate / 2, sending, stop))
            for _ in range(2)
        ]
        play = Play(stage, random.Random(chance.random()))
        waiting = asyncio.ensure_future(play.perform(int(waits * seconds), waits))
        limited = [
            asyncio.ensure_future(flow.send_many(given.flow, stop.is_set)),
            asyncio.ensure_future(flow.deploy_often(troupe, DEPLOY_EVERY_S, stop.is_set)),
        ]
        asyncio.get_running_loop().call_later(seconds, stop.set)
        await deal(fray, pause_s, stop)
        await asyncio.gather(*producers, waiting, *limited, *fray.thawing)
        quiet_s = await _come_to_rest(stage, troupe)
        problems = await play.come_to_rest(troupe.tend)
        problems += await flow.come_to_rest(troupe.tend)
        problems += troupe.deserters + await _account(stage, fray, sending, quiet_s)
        problems += await play.account(of_app(await stage.runs(), APP_ID))
        problems += await flow.account(await stage.runs(), fray.blows)
    finally:
        await stage.close(quietly=True)
    for problem in problems[:30]:
        print(f"VIOLATION: {problem}")
    if len(problems) > 30:
        print(f"and {len(problems) - 30} more")
    print(
        "chaos: nothing was lost, nothing recorded was executed again"
        if not problems
        else f"chaos: {len(problems)} violations"
    )
    return not problems


async def _come_to_rest(stage: Stage, troupe: Troupe) -> float:
    """Leave them in peace until every run has ended. Returns the seconds that it took; too many is a violation later."""
    began_s = time.monotonic()

    async def at_rest() -> bool:
        troupe.tend()
        return await stage.ended() >= len(stage.sent)

    try:
        await until(at_rest, "every run has ended", within_s=QUIET_WITHIN_S)
    except AssertionError as error:
        print(f"chaos: {error}")
    return time.monotonic() - began_s


async def _account(stage: Stage, fray: Fray, sending: Sending, quiet_s: float) -> list[str]:
    """Print the figures. Returns the violations."""
    runs = of_app(await stage.runs(), "acceptance")
    states = Counter(run.row.state.label for run in runs)
    condemned = sum(account.is_condemned(run) and not run.row.function.endswith("/deadly") for run in runs)
    again = account.bodies_again(stage.ledger)
    shown = ", ".join(f"{count} {label}" for label, count in sorted(states.items()))
    print(
        f"events accepted     {len(stage.sent)}; {sending.errors} sends failed, {sending.unknown} events of unknown fate"
    )
    print(f"runs                {len(runs)}: {shown}")
    print(f"bodies              {stage.ledger.count('start')}, {again} of them again, unrecorded before")
    print(f"deaths thrice       {condemned} innocent runs failed with WorkerCrashed, killed three times in one step")
    print(f"faults              {len(fray.blows)}, at rest {quiet_s:.1f} s after the last")
    recoveries = account.recoveries(stage.ledger, fray.blows)
    for name, count in sorted(Counter(blow.name for blow in fray.blows).items()):
        print(f"  {count:4d}  {name:32s} {_shown(recoveries.get(name, []))}")
    return await account.violations(stage, runs)


def _shown(seconds: list[float]) -> str:
    if not seconds:
        return ""
    return f"recovery p50 {statistics.median(seconds):.2f} s, max {max(seconds):.2f} s of {len(seconds)}"


if __name__ == "__main__":
    main()
