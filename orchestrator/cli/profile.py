"""``orchard profile``: which strategy, and which model, is best by difficulty and budget?"""

import json
import shlex
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from orchestrator.cli.options import JsonOption, MaxCostOption, SetOption, overriding
from orchestrator.console.exit_status import ExitStatus
from orchestrator.console.terminal import Terminal
from orchestrator.errors import ConfigError


def profile(
    sources: Annotated[
        list[Path],
        typer.Argument(
            metavar="CONFIG|RUN…",
            help="A YAML config whose cells name the searches to compare, or run directories that "
            "hold the measurements already.",
        ),
    ],
    tokens: Annotated[
        str | None,
        typer.Option(
            "--tokens",
            metavar="N",
            help="Cap on the tokens of policies and PRMs together, e.g. 50M. Searches that are far "
            "from the best are dropped early.",
        ),
    ] = None,
    max_cost: MaxCostOption = None,
    overrides: SetOption = None,
    out: Annotated[
        Path | None, typer.Option("--out", help="Where the profiles go; default: RUN/profiles.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Measure which strategy is best by difficulty and budget, for `strategy: auto`.

    Runs the tree searches that the config's cells name, and as many samples as
    the largest of them, in runs/CONFIG-profile. Smaller numbers of samples are
    resampled from these. Plans across all models of the config tell which of
    them to serve, and when to search. The same command, or `orchard resume`, continues a
    profile that was stopped.
    """
    from orchestrator.commands.profile.profiling import measure_profiles, prepare_folder
    from orchestrator.config.run import load

    console = Terminal(stderr=as_json, soft_wrap=True)
    is_whole = True
    if out is not None:
        prepare_folder(out)
    if all(source.is_dir() for source in sources):
        runs = sources
        if tokens is not None or max_cost is not None or overrides:
            raise ConfigError(
                "--tokens and --set are for a config, like --max-cost: a run is measured already"
            )
    elif len(sources) == 1:
        runs = [Path("runs") / f"{sources[0].stem}-profile"]
        capped = [
            *overriding(overrides, max_cost),
            *([f"budget.tokens={tokens}"] if tokens is not None else []),
        ]
        goes_on = shlex.join(["orchard", *sys.argv[1:]])
        is_whole = measure_profiles(load(sources[0], capped), runs[0], console, goes_on)
    else:
        raise ConfigError("name one config, or run directories: not both, and not several configs")
    _fit(runs, out, console, as_json)
    if not is_whole:
        raise typer.Exit(ExitStatus.UNFINISHED)


def resume_profile(run: Path, overrides: list[str], as_json: bool) -> None:
    """Go on with the measurements in a directory, and fit their profiles."""
    from orchestrator.commands.profile.profiling import measure_profiles
    from orchestrator.config.run import load
    from orchestrator.storage.run_directory import CONFIG, RunDirectory

    console = Terminal(stderr=as_json, soft_wrap=True)
    goes_on = RunDirectory(run).resume_command + (" --json" if as_json else "")
    is_whole = measure_profiles(load(run / CONFIG, overrides), run, console, goes_on)
    _fit([run], None, console, as_json)
    if not is_whole:
        raise typer.Exit(ExitStatus.UNFINISHED)


def _fit(runs: list[Path], out: Path | None, console: Terminal, as_json: bool) -> None:
    from orchestrator.commands.profile.profiling import (
        PROFILES,
        fit_across,
        fit_profiles,
        written,
        written_across,
    )
    from orchestrator.console.across_view import across_report
    from orchestrator.console.profile_view import profile_report
    from orchestrator.report.figures.front_across import draw_front
    from orchestrator.report.figures.resampled_votes import draw_resampled

    folder = out or runs[0] / PROFILES
    found = fit_profiles(runs, console)
    paths = written(found, folder)
    for each, path in zip(found, paths, strict=True):
        drawn = draw_resampled(each, folder, f"{path.stem}-votes")
        if not as_json:
            Terminal().print(profile_report(each, path))
            for figure in drawn[-1:]:
                console.print(f"Figure   {figure}")
    across = fit_across(runs, console)
    across_paths = written_across(across, folder)
    for profile, path in zip(across, across_paths, strict=True):
        drawn = draw_front(profile, folder, path.stem)
        if not as_json:
            Terminal().print(across_report(profile, runs[0] if out is None else None))
            console.print(f"Figure   {drawn[0]}")
    if as_json:
        told = _json([*found, *across], [*paths, *across_paths])
        Terminal().print_json_text(json.dumps(told, indent=2))
        return
    for path in [*paths, *across_paths]:
        console.print(f"Profile  {path}")


def _json(profiles: list[Any], paths: list[Path]) -> list[dict[str, Any]]:
    import msgspec

    return [
        {"path": str(path), **msgspec.to_builtins(each)}
        for each, path in zip(profiles, paths, strict=True)
    ]
