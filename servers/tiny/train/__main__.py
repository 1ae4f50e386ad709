"""Rebuild the embedded models from nothing: ``python -m servers.tiny.train``.

The policies are trained side by side, one core each, then the PRMs on solutions they sampled.
"""

import argparse
import multiprocessing
import tempfile
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

from servers.tiny.shipped import MODELS
from servers.tiny.train.build import build_policy, build_prm
from servers.tiny.train.card import write_card
from servers.tiny.train.policies import LADDER
from servers.tiny.train.prms import RECIPES


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m servers.tiny.train", description=__doc__)
    parser.add_argument("--models", type=Path, default=MODELS, help="where the folders go")
    parser.add_argument("--scratch", type=Path, help="keeps the groundwork, to go on from later")
    parser.add_argument("--jobs", type=int, default=2, help="models trained at once (default: 2)")
    parser.add_argument("--only", nargs="*", metavar="NAME", help="these models alone")
    options = parser.parse_args()
    scratch = options.scratch or Path(tempfile.mkdtemp(prefix="orchard-train-"))
    names = [each.name for each in (*LADDER, *RECIPES)]
    unknown = set(options.only or ()) - set(names)
    if unknown:
        parser.error(
            f"no model is called {', '.join(sorted(unknown))}; there are {', '.join(names)}"
        )
    for train, group in ((build_policy, LADDER), (build_prm, RECIPES)):
        wanted = [each for each in group if not options.only or each.name in options.only]
        with ProcessPoolExecutor(options.jobs, multiprocessing.get_context("spawn")) as pool:
            # the largest first, so that none is left to train alone
            jobs = [
                pool.submit(train, each, options.models, scratch)  # type: ignore[arg-type]
                for each in reversed(wanted)
            ]
            for job in jobs:
                job.result()
        for each in wanted:
            write_card(options.models / each.name)


if __name__ == "__main__":
    main()
