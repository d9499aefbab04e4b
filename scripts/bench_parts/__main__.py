"""The command line of scripts/bench."""

from __future__ import annotations

import argparse
import asyncio
import importlib.util
import json
import os
import platform
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, Final

from scripts.bench_parts import enqueue, flow, idle, latency, memory, nothing, steps, waits, wakeups
from scripts.bench_parts.figures import Figure, Summary, summaries
from scripts.bench_parts.processes import BenchError, Server
from scripts.bench_parts.setting import Setting

MEASUREMENTS: Final[dict[str, Callable[[Setting], Awaitable[list[list[Figure]]]]]] = {
    "nothing": nothing.measure,
    "steps": steps.measure,
    "latency": latency.measure,
    "enqueue": enqueue.measure,
    "memory": memory.measure,
    "wakeups": wakeups.measure,
    "waits": waits.measure,
    "flow": flow.measure,
    "idle": idle.measure,
}


def main() -> int:
    """Measure what was asked for, show it, write it. Returns the exit code."""
    options = _options()
    setting = Setting(
        options.server,
        options.rounds or (2 if options.short else 5),
        options.short,
        not options.no_uvloop,
        options.first,
    )
    measured: dict[str, list[Summary]] = {}
    try:
        about = _about(setting)
        print("  ".join(f"{name} {value}" for name, value in about.items()), flush=True)
        for name in options.only or MEASUREMENTS:
            began_s = time.monotonic()
            measured[name] = summaries(asyncio.run(_measured(name, setting)))
            print(f"\n{name} ({time.monotonic() - began_s:.0f} s)")
            print("\n".join(summary.line() for summary in measured[name]), flush=True)
    except BenchError as error:
        print(f"bench: {error}", file=sys.stderr)
        return 1
    if options.json:
        written = {name: [summary.to_map() for summary in found] for name, found in measured.items()}
        Path(options.json).write_text(json.dumps({"about": about, "figures": written}, indent=2) + "\n")
    return 0


async def _measured(name: str, setting: Setting) -> list[list[Figure]]:
    return await MEASUREMENTS[name](setting)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="scripts/bench",
        description="Measures durableq on this machine, on a private server with AOF everysec. Shows medians of several "
        "rounds, their spread, and the targets. docs/benchmarks.md says how each figure is measured. Linux only.",
    )
    parser.add_argument(
        "--only", action="append", choices=list(MEASUREMENTS), help="one measurement; several times for several"
    )
    parser.add_argument("--short", action="store_true", help="smaller and fewer rounds: under 90 s in all")
    parser.add_argument("--rounds", type=int, help="instead of 5, or 2 with --short")
    parser.add_argument(
        "--server", choices=["redis", "valkey"], default="redis", help="redis-server on PATH, or the embedded Valkey"
    )
    parser.add_argument("--no-uvloop", action="store_true", help="workers on asyncio's own loop")
    parser.add_argument(
        "--first",
        action="store_true",
        help="what is measured goes before others' work (a real-time scheduler; needs root)",
    )
    parser.add_argument("--json", metavar="FILE", help="also write every figure of every round to a file")
    return parser.parse_args()


def _about(setting: Setting) -> dict[str, Any]:
    with Server(setting.server, setting.first) as server:
        version = server.version
    uvloop = setting.uvloop and importlib.util.find_spec("uvloop") is not None
    return {
        "server": version,
        "python": platform.python_version(),
        "loop": "uvloop" if uvloop else "asyncio",
        "cores": len(os.sched_getaffinity(0)),
        "rounds": setting.rounds,
        "load": f"{os.getloadavg()[0]:.1f}",
    }


if __name__ == "__main__":
    sys.exit(main())
