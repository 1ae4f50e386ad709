"""``orchard advise``: which models to serve, with how much search, for an accuracy or a budget."""

import json
from pathlib import Path
from typing import Annotated

import typer

from orchestrator.cli.options import JsonOption
from orchestrator.console.terminal import Terminal


def advise(
    run: Annotated[Path, typer.Argument(help="The directory of an `orchard profile`.")],
    accuracy: Annotated[
        float | None, typer.Option(help="The least share of problems to be right, e.g. 0.9.")
    ] = None,
    tokens: Annotated[
        float | None,
        typer.Option(min=0, help="Tokens that a problem may take on average; of one policy alone."),
    ] = None,
    flops: Annotated[
        float | None, typer.Option(min=0, help="FLOPs that a problem may take on average.")
    ] = None,
    cost: Annotated[
        float | None, typer.Option(min=0, help="USD that a problem may take on average.")
    ] = None,
    seconds: Annotated[
        float | None, typer.Option(min=0, help="Seconds that a problem may take on average.")
    ] = None,
    out: Annotated[Path, typer.Option(help="The config to write.")] = Path("advised.yaml"),
    as_json: JsonOption = False,
) -> None:
    """Say which models to serve, and with which strategy, for one goal.

    Name one goal: an accuracy to reach, or what a problem may take.
    Reads the plans that `orchard profile` fitted, across all models of its config,
    and writes the config of a run that follows the advice. A goal between two plans is
    met by mixing them: each serves its share of the problems.
    """
    from orchestrator.commands import advise as command
    from orchestrator.optimal.profile import Unit

    goals: dict[Unit, float | None] = {
        "tokens": tokens, "flops": flops, "cost": cost, "seconds": seconds
    }  # fmt: skip
    path, profile = command.the_profile(run)
    budgets = {unit: value for unit, value in goals.items() if value is not None}
    advice = command.advise(profile, accuracy, budgets)
    command.write_config(command.advised_config(run, path, profile, advice), out)
    if as_json:
        import msgspec

        mixture = advice.mixture
        told = {
            "sentence": advice.sentence,
            "unit": advice.unit,
            "config": str(out),
            "budget": advice.budget,
            "came": msgspec.to_builtins(mixture.came),
            "answers": mixture.answers,
            "plans": [
                {"share": share, "plan": msgspec.to_builtins(point.plan)}
                for share, point in mixture.shares
            ],
        }
        Terminal().print_json_text(json.dumps(told, indent=2))
        return
    Terminal(soft_wrap=True).print(advice.sentence)
    Terminal(stderr=True, soft_wrap=True).print(f"Config   {out}: orchard run {out}")
