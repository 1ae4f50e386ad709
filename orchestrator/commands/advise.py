"""Advice from a profile across models, and the config of a run that follows it."""

from pathlib import Path
from typing import Any

import yaml

from orchestrator.commands.profile.profiling import across_in
from orchestrator.config.run import RunConfig, load, validate
from orchestrator.errors import ConfigError, ProfileError, RunError
from orchestrator.optimal.cascade.advice import Advice, for_accuracy, for_budget
from orchestrator.optimal.cascade.profile import AcrossProfile
from orchestrator.optimal.profile import Unit
from orchestrator.storage.run_directory import CONFIG


def the_profile(run: Path) -> tuple[Path, AcrossProfile]:
    """The profile across models of a run directory, with its file.

    Raises ``ProfileError`` if there is none, or more than one.
    """
    found = across_in(run)
    if not found:
        raise ProfileError(
            f"{run} has no profile across models, which `orchard profile` writes: name the "
            f"directory of one, or fit it to this run with `orchard profile {run}`"
        )
    if len(found) > 1:
        names = ", ".join(profile.task for _, profile in found)
        raise ProfileError(f"{run} has profiles across models of several tasks: {names}")
    return found[0]


def advise(profile: AcrossProfile, accuracy: float | None, budgets: dict[Unit, float]) -> Advice:
    """Advice for one goal. Raises ``ConfigError`` for none or several, and ``ProfileError`` where
    the goal is out of reach."""
    if (accuracy is not None) + len(budgets) != 1:
        raise ConfigError("name one goal: --accuracy, --tokens, --flops, --cost or --seconds")
    if accuracy is None:
        ((unit, budget),) = budgets.items()
        return for_budget(profile, budget, unit)
    if not 0 < accuracy <= 1:
        raise ConfigError(f"--accuracy {accuracy:g} must be a share in 0..1, such as 0.9")
    return for_accuracy(profile, accuracy)


def advised_config(run: Path, path: Path, profile: AcrossProfile, advice: Advice) -> RunConfig:
    """The config of a run that follows ``advice``, on the problems after those measured, under the
    cap on money that the profile had.

    Raises ``ConfigError``.
    """
    values: dict[str, Any] = load(run / CONFIG).dumped()
    needed = {name for point in advice.mixture.points for name in profile.models(point)}
    policies = [each.name for each in profile.policies if each.name in needed]
    prms = [each.name for each in profile.prms if each.name in needed]
    values["cells"] = [
        {
            "policy": policies,
            **({"prm": prms} if prms else {}),
            "strategy": "auto",
            "profile": str(path.resolve()),
            "unit": advice.unit,
            "budget": advice.budget,
        }
    ]
    values.pop("headline", None)
    cap = values.pop("budget", {}).get("cost")
    if cap is not None:  # of the money; the others are of what a profile measures
        values["budget"] = {"cost": cap}
    for key in ("policies", "prms"):
        values[key] = {name: each for name, each in values.get(key, {}).items() if name in needed}
    task = values["task"]
    if task.get("problems") is not None:
        task["skip"] = task.get("skip", 0) + task["problems"]
    return validate(values, str(run / CONFIG))


def write_config(config: RunConfig, out: Path) -> None:
    """Write a config to a new file. Raises ``RunError`` if it is there already."""
    text = yaml.safe_dump(config.dumped(), sort_keys=False)
    try:
        with out.open("x") as file:
            file.write(text)
    except FileExistsError:
        if out.read_text() != text:
            raise RunError(f"{out} is there already, and differs: name another --out") from None
    except OSError as error:
        raise RunError(f"cannot write {out}: {error.strerror}; name another --out") from error
