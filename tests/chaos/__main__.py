"""`python -m tests.chaos`: faults under load on a stack of its own. Exit code 1 where anything was found.

Every option is also a variable: CHAOS_SEED, CHAOS_SECONDS, CHAOS_FAULTS, CHAOS_KILLS, CHAOS_RATE. STACK_DATABASE and
STACK_REPLICAS choose the system.
"""

import argparse
import os
import secrets
import shutil
import sys
import tempfile
from pathlib import Path

from stack import Settings
from stack.settings import REPOSITORY

from tests.chaos.conductor import names
from tests.chaos.run import run, scene_of

REPORTS = REPOSITORY / ".stack" / "chaos"


def main() -> int:
    options = _parser().parse_args()
    chosen = Settings.from_environment()
    wanted, kills = names(options.faults, chosen.database), options.faults == "kills"
    REPORTS.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix=f"seed-{options.seed}-", dir=REPORTS))
    print(f"seed {options.seed}, {chosen.replicas} of each worker on {chosen.database}, in {folder}", flush=True)
    settings = Settings.isolated(folder, replicas=chosen.replicas, database=chosen.database)
    with scene_of(settings, options.seed) as scene:
        report = run(
            scene,
            wanted,
            rate=options.rate,
            times=options.kills if kills else 1,
            seconds=0 if kills else options.seconds,
        )
    report.write(folder / "report.json")
    print(f"\n{report}\nThe report: {folder / 'report.json'}")
    if not report.findings:
        for leftover in ("data", "logs", "status"):
            shutil.rmtree(folder / leftover, ignore_errors=True)
    return 1 if report.findings else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="chaos", description="Faults under load, and what becomes of the orders.")
    parser.add_argument("--seed", type=int, default=_variable("CHAOS_SEED", secrets.randbelow(1_000_000)))
    parser.add_argument("--seconds", type=float, default=_variable("CHAOS_SECONDS", 390), help="of faults and load")
    parser.add_argument("--faults", default=_variable("CHAOS_FAULTS", "all"), help="all, kills or names with commas")
    parser.add_argument("--kills", type=int, default=_variable("CHAOS_KILLS", 20), help="of each worker, with kills")
    parser.add_argument("--rate", type=float, default=_variable("CHAOS_RATE", 50), help="orders a second")
    return parser


def _variable(name: str, otherwise: object) -> str:
    return os.environ.get(name) or str(otherwise)


if __name__ == "__main__":
    sys.exit(main())
