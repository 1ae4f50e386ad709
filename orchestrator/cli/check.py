"""``orchard check``: whether a config can work, asked of its endpoints."""

import json
from pathlib import Path
from typing import Annotated

import typer

from orchestrator.cli.options import JsonOption, SetOption
from orchestrator.console.exit_status import ExitStatus
from orchestrator.console.terminal import Terminal


def check(
    config: Annotated[Path, typer.Argument(help="A YAML config.")],
    overrides: SetOption = None,
    as_json: JsonOption = False,
) -> None:
    """Validate a config, and probe what each of its endpoints can do."""
    from orchestrator.commands.abilities import abilities
    from orchestrator.commands.check import check_endpoints
    from orchestrator.config.run import load
    from orchestrator.report.data.wording import counted
    from orchestrator.wiring.experiment import Experiment

    experiment = Experiment.of(load(config, overrides or []))
    found = check_endpoints(experiment, Terminal(stderr=as_json, soft_wrap=True))
    size = {"cells": len(experiment.cells), "problems": len(experiment.problems)}
    if as_json:
        Terminal().print_json_text(json.dumps({**size, "endpoints": found}, indent=2))
    else:
        console = Terminal(soft_wrap=True)
        console.print(abilities(found))
        console.print(", ".join(counted(count, noun) for noun, count in size.items()))
    if any("error" in entry for entry in found):
        raise typer.Exit(ExitStatus.REFUSED)
