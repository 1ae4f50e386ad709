"""``orchard prm-eval``: how good are a config's PRMs?"""

import shlex
import sys
from pathlib import Path
from typing import Annotated

import typer

from orchestrator.console.exit_status import ExitStatus
from orchestrator.console.terminal import Terminal
from orchestrator.errors import BudgetExhausted, RateLimited, RunError

SUMMARY = "prm-eval.json"


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
    overrides: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="KEY=VALUE",
            help="Override a key of the config, e.g. trees=64. Repeatable.",
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option("--out", help="The directory of results; scores in it are reused."),
    ] = None,
    figures: Annotated[
        bool,
        typer.Option("--figures/--no-figures", help="Draw the figures (a few seconds)."),
    ] = True,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of tables.")] = False,
) -> None:
    """Measure PRMs on labelled solutions: first wrong steps, calibration, length bias.

    Scores stay in the directory of results and are not paid for again. The config's
    `budget` limits it like a run; with a larger one it continues.
    """
    from orchestrator.commands.prm_evaluation.evaluate import Wanted, evaluate_prms, load_models
    from orchestrator.report.data.prm_summary import prm_json
    from orchestrator.report.figures.prm_figures import draw_prms
    from orchestrator.report.tables.prm_table import prm_report

    out = out or Path("runs") / f"prm-eval-{config.stem}"
    wanted = Wanted(
        data=tuple(data),
        prms=tuple(prm or ()),
        policy=policy,
        samples=samples,
        threshold=threshold,
    )
    console = Terminal(stderr=as_json, soft_wrap=True)
    command = shlex.join(["orchard", *sys.argv[1:]])
    try:
        summary = evaluate_prms(load_models(config, overrides or []), wanted, out, console)
    except KeyboardInterrupt:
        console.print(f"Stopped. Every score is kept; go on with:\n  {command}")
        sys.exit(ExitStatus.STOPPED)
    except BudgetExhausted as exhausted:
        console.print(
            f"Stopped early: {exhausted}. Every score is kept; with a larger one this goes on:\n"
            f"  {command} --set budget.{exhausted.limit}=…"
        )
        sys.exit(ExitStatus.UNFINISHED)
    except RateLimited as limited:
        console.print(f"Stopped: {limited}. Every score is kept; go on then with:\n  {command}")
        sys.exit(ExitStatus.UNFINISHED)
    content = prm_json(summary)
    try:
        (out / SUMMARY).write_bytes(content)
        drawn = draw_prms(summary, out / "figures") if figures else []
    except OSError as error:
        raise RunError(f"cannot write {out}: {error.strerror}; every score is kept") from error
    if as_json:
        Terminal().print_json_text(content.decode())
    else:
        Terminal().print(prm_report(summary))
    console.print(f"Summary  {out / SUMMARY}")
    for figure in drawn:
        if figure.suffix == ".png":
            console.print(f"Figure   {figure}")
