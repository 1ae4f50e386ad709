"""``orchard prm-eval``: how good are a config's PRMs?"""

import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from orchestrator.cli.options import FiguresOption, JsonOption, SetOption
from orchestrator.console.terminal import Terminal

if TYPE_CHECKING:
    from orchestrator.commands.prm_evaluation.evaluate import Wanted


def prm_eval(
    config: Annotated[Path, typer.Argument(help="A YAML config with `prms`.")],
    data: Annotated[
        list[str],
        typer.Option(
            "--data",
            metavar="FILE|chains",
            help="A file in ProcessBench's format (JSON lines), or chains: generated problems, "
            "solved by a policy and labelled by rule. Repeatable.",
        ),
    ],
    prm: Annotated[
        list[str] | None, typer.Option("--prm", help="A PRM of the config; default: all.")
    ] = None,
    policy: Annotated[
        str | None, typer.Option("--policy", help="Who solves the chains; default: the first.")
    ] = None,
    samples: Annotated[
        int | None,
        typer.Option(
            "--samples",
            min=1,
            help="How many of each data set; default: 400 chains, all of a file.",
        ),
    ] = None,
    threshold: Annotated[
        float,
        typer.Option("--threshold", min=0, max=1, help="Steps scored below it count as wrong."),
    ] = 0.5,
    overrides: SetOption = None,
    out: Annotated[
        Path | None,
        typer.Option("--out", help="The directory of results; scores in it are reused."),
    ] = None,
    figures: FiguresOption = True,
    as_json: JsonOption = False,
) -> None:
    """Measure PRMs on labelled solutions: first wrong steps, calibration, length bias.

    Scores stay in the directory of results and are not paid for again. The config's
    `budget` limits it like a run; with a larger one it continues.
    """
    from orchestrator.commands.prm_evaluation.evaluate import Wanted

    wanted = Wanted(
        data=tuple(data),
        prms=tuple(prm or ()),
        policy=policy,
        samples=samples,
        threshold=threshold,
    )
    out = out or Path("runs") / f"prm-eval-{config.stem}"
    _evaluate(config, overrides or [], wanted, out, figures, as_json)


def _evaluate(
    path: Path, overrides: list[str], wanted: "Wanted", out: Path, figures: bool, as_json: bool
) -> None:
    from orchestrator.commands.prm_evaluation.ending import SUMMARY, resumable, write_results
    from orchestrator.commands.prm_evaluation.evaluate import evaluate_prms, load_models
    from orchestrator.report.data.prm_summary import prm_json
    from orchestrator.report.tables.prm_table import prm_report

    console = Terminal(stderr=as_json, soft_wrap=True)
    with resumable(shlex.join(["orchard", *sys.argv[1:]]), console):
        summary = evaluate_prms(load_models(path, overrides), wanted, out, console)
    drawn = write_results(summary, out, figures=figures)
    if as_json:
        Terminal().print_json_text(prm_json(summary).decode())
    else:
        Terminal().print(prm_report(summary))
    console.print(f"Summary  {out / SUMMARY}")
    for figure in drawn:
        console.print(f"Figure   {figure}")
