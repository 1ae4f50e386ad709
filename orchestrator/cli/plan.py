"""``orchard plan``: what a run would take on a fleet nobody needs to have."""

import json
from pathlib import Path
from typing import Annotated

import typer

from orchestrator.cli.options import JsonOption, SetOption
from orchestrator.console.terminal import Terminal


def plan_run(
    config: Annotated[Path, typer.Argument(help="A YAML config.")],
    fleet: Annotated[
        str,
        typer.Option(
            "--fleet",
            help="What serves each endpoint, as REPLICASxGPU:SIZE, e.g. "
            "policy=8xH100:1B,prm=2xH100:7B (2x4xH100:72B: two replicas of four GPUs each), or a "
            "YAML file of the same. Hosted models need none.",
        ),
    ],
    overrides: SetOption = None,
    problems: Annotated[
        int | None, typer.Option(min=1, help="How many problems; default: the task's.")
    ] = None,
    sample: Annotated[int | None, typer.Option(min=1, help="How many of them to simulate.")] = None,
    step_tokens: Annotated[float, typer.Option(min=10, help="Average tokens per step.")] = 45.0,
    gpu_hour: Annotated[
        float | None, typer.Option("--gpu-hour", metavar="USD", help="Price of a GPU hour.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Forecast a run on GPUs you may not have: hours, tokens, cost, bottleneck.

    Runs the strategies in virtual time on a model of H100s and H200s, without any server.
    """
    from orchestrator.commands.forecast.forecast import forecast
    from orchestrator.commands.forecast.machines import read_fleet
    from orchestrator.commands.forecast.view import show
    from orchestrator.config.run import load

    machines = read_fleet(fleet)
    found = forecast(
        load(config, overrides or []),
        machines,
        problems=problems,
        sample=sample,
        step_tokens=step_tokens,
        gpu_hour=gpu_hour,
        console=Terminal(stderr=True, soft_wrap=True),
    )
    if as_json:
        Terminal().print_json_text(json.dumps(found.to_json(), indent=2))
    else:
        show(found, step_tokens, Terminal(soft_wrap=True))
