"""Does choosing pay? `strategy: auto` against every single fixed strategy, at equal total tokens.

On the embedded models and ``configs/compute-optimal.yaml``: three policies, a good and a poor PRM,
420 held-out problems. One run measures all strategies; predictor and profile are fitted on four
fifths of the problems and routed on the rest, in turn (cross-fitting), label-free. Tokens are those
of policy and PRM together, pilots included.

- ``spectrum``: by policy, the shares of problems that are easy (right in half of its samples or
  more), medium (a tenth or more) and hard for it.
- ``auto_minus_best_fixed``: by pair, with the tokens of best-of-N for N = 4, 8, 16 and 32 as auto's
  budget, the mean over these budgets, with its 95 % paired bootstrap interval. The best fixed
  strategy may use what auto used, and is chosen on the other folds as auto is; ``in_hindsight`` has
  it chosen on the very problems. ``by_budget`` lists each.
- ``auto_minus_one_arm``: the same against the best one of auto's own arms for all problems alike,
  chosen on the other folds: votes that stop when settled are among these, and the paper's fixed
  strategies are not so. It tells routing by difficulty from stopping sample by sample.
- ``token_ratio_at_best_fixed``: tokens that auto takes to be as accurate as the best fixed strategy
  at N = 64, chosen on the other folds as auto is, over that one's (``ratio``); the same with it
  chosen on the very problems (``in_hindsight``); and to come so near to the latter that the paired
  interval holds no difference (``inside_interval``). ``most`` is what auto comes to within all of
  its tokens.
- ``oracle_gap_closed``: (auto - fixed) / (oracle - fixed), summed over pairs and budgets, with
  its bootstrap interval; the oracle knows each problem's true bin and chooses on the very problems,
  as the paper does (``in_hindsight``), or off the fold as auto does, so that it only knows the
  difficulty better (``off_fold``).
- ``confidence_minus_majority``: by policy, votes by its confidence less the majority of the same
  samples, and so at equal tokens, without a PRM: the mean over N = 4, 8, 16 and 32, with its 95 %
  paired bootstrap interval. Vote, measure and setting are chosen on the other folds;
  ``confidence_in_hindsight`` names the best one for each N, its accuracy and the majority's.
- ``pool_gain``: a budget that holds on average over problems against one that each must keep, at
  equal tokens, by the trials.
- ``pool_minus_equal``: by policy under the good PRM, one pool for all problems less the best single
  strategy that gives each of them the same, at equal totals, over the budgets of best-of-N
  (``pool_offline``); ``pool_minus_equal_by_budget`` lists each.
- ``pool_live``: run for real under the good PRM, one pool for all problems of a fold against a
  budget that each must keep (what best-of-8 and best-of-16 take), the pool's cap being what that
  took; and both against a budget that holds on average.
- ``resampling_inside``: of 20 cells, how many of the accuracies resampled for n = 4 and 16 lie in
  the 95 % interval of a direct run with another seed.
- ``small_vs_large``: the smallest policy with auto against the largest one's CoT, at the smallest
  budget that puts it above outside the interval, if any does, and at that of best-of-32, with the
  ratio of their inference FLOPs, policy and PRM, as if nothing had been in a prefix cache: in a run
  of many strategies one fills it for the other.
- ``across_models``: the choice of the model, see ``across_models.py``.
- ``live``: auto run for real on every fold with the profile of the others, at the tokens of
  best-of-16, beside what the cross-fitted trials foretold.

Prints a table and one JSON line. What is in ``--out`` already is not measured again.
"""

import argparse
import asyncio
import json
import sys
from pathlib import Path
from typing import Any

from rich.table import Table

from orchestrator.console.terminal import Terminal

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from orchestrator.config.reading import shipped_config
from orchestrator.config.run import load
from orchestrator.storage.store import read_records
from tests.benchmarks.optimal.across_models import across_models
from tests.benchmarks.optimal.against_fixed import (
    against_fixed,
    against_one_arm,
    gap_closed,
    tokens_for_the_best_fixed,
)
from tests.benchmarks.optimal.confidence_votes import by_confidence
from tests.benchmarks.optimal.live_auto import LiveRuns, by_itself, live_outcome, pool_live
from tests.benchmarks.optimal.measured_pairs import measure_all, pairs
from tests.benchmarks.optimal.pool_offline import against_equal_budgets, pool_gain
from tests.benchmarks.optimal.resampled import DIRECT, resampling
from tests.benchmarks.optimal.small_and_large import small_against_large
from tests.benchmarks.optimal.spectrum import spectrum

CONFIG = "compute-optimal.yaml"


def show(found: dict[str, Any], console: Terminal) -> None:
    table = Table(box=None, header_style="bold", pad_edge=False)
    for title in (
        "pair",
        "tokens",
        "auto %",
        "best fixed %",
        "difference",
        "95 % interval",
        "oracle %",
    ):
        table.add_column(title, justify="left" if title == "pair" else "right")
    for pair, told in found["auto_minus_best_fixed"].items():
        for cell in told["by_budget"].values():
            difference, low, high = cell["difference"]
            table.add_row(
                pair,
                f"{cell['auto_tokens']:,}",
                f"{100 * cell['auto']:.1f}",
                f"{100 * cell['fixed']:.1f}",
                f"{100 * difference:+.1f}",
                f"[{100 * low:+.1f}, {100 * high:+.1f}]",
                f"{100 * cell['oracle']:.1f}",
            )
    console.print(table)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--out", type=Path, default=Path("runs/compute-optimal"))
    parser.add_argument("--no-live", action="store_true", help="without running auto for real")
    options = parser.parse_args()
    console = Terminal(stderr=True, soft_wrap=True)
    config = load(shipped_config(CONFIG))
    measure_all(config, options.out, console)
    again = load(shipped_config(CONFIG), ["seed=1", f"cells={json.dumps(DIRECT)}"])
    measure_all(again, options.out / "direct", console)
    records = read_records(options.out)
    found = asyncio.run(pairs(records))
    compared = {pair.name: against_fixed(pair) for pair in found}
    figures: dict[str, Any] = {
        "problems": len(found[0].trials.problems),
        "spectrum": spectrum(found),
        "auto_minus_best_fixed": {name: told for name, (told, _) in compared.items()},
        "auto_minus_one_arm": {pair.name: against_one_arm(pair) for pair in found},
        "oracle_gap_closed": gap_closed([gains for _, gains in compared.values()]),
        "token_ratio_at_best_fixed": {pair.name: tokens_for_the_best_fixed(pair) for pair in found},
        **by_confidence(found),
        "pool_gain": {pair.name: pool_gain(pair) for pair in found},
        **against_equal_budgets(found),
        "resampling_inside": resampling(found, read_records(options.out / "direct")),
        "small_vs_large": small_against_large(found, records),
        "across_models": asyncio.run(across_models(records)),
    }
    if not options.no_live:
        runs = LiveRuns(config, found, options.out / "live", console)
        live = runs.run("average-16", by_itself(16))
        figures["live"] = {pair.name: live_outcome(pair, live[pair.name]) for pair in found}
        figures["pool_live"] = pool_live(runs, found)
    show(figures, console)
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
