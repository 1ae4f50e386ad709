"""The share of the orchestrator's CPU that the journal takes.

    python tests/benchmarks/journal_cost.py

Beam searches as in ``step_cost.py`` run with and without a journal, in turns on one server; the
cheapest turn of each counts, since what else the machine does only ever adds. All threads of the
client are in it, the one that writes too. Prints one JSON line.
"""

import argparse
import json
import sys
import tempfile
from pathlib import Path

import uvloop

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from orchestrator.storage.journal import JOURNAL  # noqa: E402
from tests.benchmarks import step_cost  # noqa: E402


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trees", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    costs: dict[bool, list[float]] = {True: [], False: []}
    with step_cost.instant_server() as url, tempfile.TemporaryDirectory() as home:
        uvloop.run(step_cost.measure(url, 20, Path(home) / "warm"))
        for turn in range(options.rounds):
            for journaled, of_kind in costs.items():
                folder = Path(home) / f"{turn}-{journaled}"
                one = uvloop.run(step_cost.measure(url, options.trees, folder, journaled=journaled))
                of_kind.append(1e6 * one.cpu / one.steps)
                if journaled:
                    size = (folder / JOURNAL).stat().st_size / one.steps
    with_it, without = (min(of_kind) for of_kind in costs.values())
    result = {
        "share": round((with_it - without) / with_it, 3),
        "us_per_step": round(with_it, 1),
        "journal_us_per_step": round(with_it - without, 1),
        "bytes_per_step": round(size),
        "trees": options.trees,
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
