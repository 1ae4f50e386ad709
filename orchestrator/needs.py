"""What the cells of a run ask of their endpoints, against what the endpoints can do."""

from collections.abc import Mapping, Sequence

from orchestrator.config import RunConfig
from orchestrator.endpoint_config import INSTRUCTED
from orchestrator.endpoints.probe import PolicyAbilities, PRMAbilities
from orchestrator.errors import ConfigError
from orchestrator.runs.plan import Cell, Substitutes
from orchestrator.strategies import STRATEGIES
from orchestrator.strategies.settings import Stepwise

NAMES_OF = {strategy: name for name, strategy in STRATEGIES.items()}

Found = Mapping[str, PolicyAbilities | PRMAbilities]
"""What each endpoint can do, by its name in the config."""


def check_able(cells: Sequence[Cell], config: RunConfig, found: Found) -> None:
    """Raises ``ConfigError`` where a cell asks of its policy what its server cannot do."""
    for cell in cells:
        can, settings = found[cell.policy.name], config.policies[cell.policy.name]
        assert isinstance(can, PolicyAbilities)
        if settings.continuation == "tokens" and can.continuation != "tokens":
            raise ConfigError(
                f"the server of {cell.policy.name} does not return token ids: leave its "
                "`continuation` out, or set `continuation: chat`"
            )
        stepwise = [each for each in cell.searches if isinstance(each, Stepwise)]
        if not stepwise or settings.continuation == INSTRUCTED:
            continue
        name = cell.strategy_name
        if not isinstance(cell.strategy, Stepwise):
            name += f" (which may come to {NAMES_OF[type(stepwise[0])]})"
        lacks = (
            "cannot go on with a solution (neither by token ids nor by an open chat message)"
            if can.continuation is None and settings.continuation == "auto"
            else "takes no stop strings"
            if "stop" in can.refused
            else "does not tell whether a stop string or the end of the answer ended a step"
            if not can.ends_told
            else None
        )
        if lacks and settings.hosted:
            raise ConfigError(
                f"{cell.policy.name} is hosted and {lacks}, as {name} needs: use "
                "cot, majority or best_of_n, or have it emulated with `continuation: instructed`, "
                "which the results then say"
            )
        if lacks:
            raise ConfigError(
                f"the server of {cell.policy.name} {lacks}, as {name} needs: use "
                "cot, majority or best_of_n, or serve it with vLLM"
            )


IN_VAIN = ("temperature", "top_p", "seed", "stop")
"""Parameters without which an answer is not the one that was asked for."""


def substitutes(cell: Cell, config: RunConfig, found: Found) -> Substitutes:
    """What stands in for what the endpoint of a cell's policy cannot do, as far as it needs it."""
    can, settings = found[cell.policy.name], config.policies[cell.policy.name]
    assert isinstance(can, PolicyAbilities)
    stepwise = any(isinstance(each, Stepwise) for each in cell.searches)
    asked = [can, found.get(cell.prm.name) if cell.prm else None]
    emulated = {
        "model": any(each is not None and each.simulated for each in asked),
        "n": not can.n and cell.weight > 1,
        "continuation": stepwise and settings.continuation == INSTRUCTED,
    }
    needed = [each for each in IN_VAIN if stepwise or each != "stop"]
    if any(getattr(each, "logprobs", None) for each in cell.searches):
        needed.append("logprobs")
    return Substitutes(
        emulated=tuple(each for each, is_used in emulated.items() if is_used),
        refused=tuple(each for each in needed if each in can.refused),
    )
