"""Checks what the cells of a run need against what their endpoints can do."""

from collections.abc import Mapping, Sequence

from orchestrator.config.endpoints import INSTRUCTED, PolicyConfig
from orchestrator.core.ports import Strategy
from orchestrator.endpoints.probing.probe import PolicyAbilities, PRMAbilities
from orchestrator.errors import ConfigError
from orchestrator.runs.plan import Cell, Substitutes
from orchestrator.strategies.building import name_of
from orchestrator.strategies.traits import traits

Found = Mapping[str, PolicyAbilities | PRMAbilities]
"""What each endpoint can do, by its name in the config."""


_QUESTION_TOKENS = 512
"""Tokens that a question takes of the context, roughly."""

_SOLUTION_TOKENS = 8_192
"""What a solution takes of the context where its strategy sets no bound."""

ENOUGH_TOKENS = 2_048
"""Tokens that a reasoning model needs, at least, for problems harder than a sum."""


def context_needed(policy: str, cells: Sequence[Cell]) -> int:
    """Tokens of context that the longest solutions of ``cells`` need."""
    searches = [each for cell in cells if cell.policy.name == policy for each in cell.searches]
    return max((_QUESTION_TOKENS + _longest(each) for each in searches), default=0)


def tokens_allowed(policy: str, cells: Sequence[Cell]) -> int:
    """The largest ``max_tokens`` of a policy's cells."""
    searches = [each for cell in cells if cell.policy.name == policy for each in cell.searches]
    return max((traits(each).max_tokens or 0 for each in searches), default=0)


def _longest(search: Strategy) -> int:
    """Tokens of the longest solution that a search may come to."""
    bounds = traits(search)
    return (bounds.max_tokens or _SOLUTION_TOKENS) * bounds.max_depth


def check_able(cells: Sequence[Cell], policies: Mapping[str, PolicyConfig], found: Found) -> None:
    """Raises ``ConfigError`` where a cell needs something that its policy's server cannot do."""
    for cell in cells:
        can, settings = found[cell.policy.name], policies[cell.policy.name]
        assert isinstance(can, PolicyAbilities)
        if settings.continuation == "tokens" and can.continuation != "tokens":
            raise ConfigError(
                f"the server of {cell.policy.name} does not return token ids: leave its "
                "`continuation` out, or set `continuation: chat`"
            )
        _check_thought(cell, can)
        stepwise = [
            each
            for each in cell.searches
            if "continuation" in each.needs and not traits(each).fallbacks
        ]
        if not stepwise or settings.continuation == INSTRUCTED:
            continue
        name = cell.strategy_name
        if cell.strategy not in stepwise:
            name += f" (which may come to {name_of(stepwise[0])})"
        lacks = _lacks(can, settings)
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


def _check_thought(cell: Cell, can: PolicyAbilities) -> None:
    """Raises ``ConfigError`` where a cell's ``max_tokens`` would cut samples mid-thought."""
    took = can.tokens_to_answer
    if took is None:
        return
    for each in cell.searches:
        bound = traits(each).max_tokens
        if bound is not None and bound <= took:
            raise ConfigError(
                f"{cell.policy.name} is a reasoning model: it took {took:,} tokens for a sum, "
                f"and {cell.strategy_name} gives it {bound:,}: set `max_tokens` to at "
                f"least {enough_tokens(took):,}"
            )


def enough_tokens(took: int) -> int:
    """A ``max_tokens`` for a model that ``took`` so many tokens for a sum, as a power of two."""
    return max(ENOUGH_TOKENS, 1 << (4 * took - 1).bit_length())


def remarks(name: str, cells: Sequence[Cell], found: Found) -> list[str]:
    """Warnings about a policy: nothing that stops its cells, but worth knowing beforehand."""
    can, mine = found[name], [cell for cell in cells if cell.policy.name == name]
    if not isinstance(can, PolicyAbilities):
        return []
    told = []
    if can.tokens_to_answer is not None:
        enough = enough_tokens(can.tokens_to_answer)
        bounds = [traits(each).max_tokens for cell in mine for each in cell.searches]
        if any(bound is not None and bound < enough for bound in bounds):
            told.append(
                f"a reasoning model, which took {can.tokens_to_answer:,} tokens for a sum: "
                f"set `max_tokens` to at least {enough:,}"
            )
    stepwise = any(_continues(each) for cell in mine for each in cell.searches)
    if can.trims and can.continuation == "chat" and stepwise:
        told.append(
            "loses the blank line at the end of an open message (its chat template trims it), so "
            "that each step takes two requests: a template that keeps it saves one (vLLM: "
            "--chat-template)"
        )
    if can.cuts_at is not None:
        told.append(
            f"cuts prompts at {can.cuts_at:,} tokens and does not say so: raise the context of its "
            "server (Ollama: num_ctx, or OLLAMA_CONTEXT_LENGTH), or solutions end there"
        )
    if not can.samples_differ and any(cell.weight > 1 for cell in mine):
        told.append(
            "answers each request alike, whatever its seed and temperature: its samples are copies"
        )
    return told


def _continues(search: Strategy) -> bool:
    return "continuation" in search.needs


def _lacks(can: PolicyAbilities, settings: PolicyConfig) -> str | None:
    """What stepwise search needs and the endpoint lacks, to complete a sentence; None if
    nothing."""
    if can.continuation is None and settings.continuation == "auto":
        return "cannot go on with a solution (neither by token ids nor by an open chat message)"
    if "stop" in can.refused:
        return "takes no stop strings"
    if not can.ends_told:
        return "does not tell whether a stop string or the end of the answer ended a step"
    if can.hides_steps:
        return (
            "puts what its model thinks in a field of its own (--reasoning-parser), which leaves "
            "no text of a step"
        )
    return None


IN_VAIN = ("temperature", "top_p", "seed", "stop")
"""Parameters that change what is sampled: without them the answer is to another question."""


def substitutes(cell: Cell, policies: Mapping[str, PolicyConfig], found: Found) -> Substitutes:
    """What the endpoint of a cell's policy cannot do and the cell needs, and what replaces it."""
    can, settings = found[cell.policy.name], policies[cell.policy.name]
    assert isinstance(can, PolicyAbilities)
    stepwise = any(map(_continues, cell.searches))
    asked = [can, found.get(cell.prm.name) if cell.prm else None]
    emulated = {
        "model": any(each is not None and each.simulated for each in asked),
        "n": not can.n and cell.weight > 1,
        "samples": not can.samples_differ and cell.weight > 1,
        "continuation": stepwise and settings.continuation == INSTRUCTED,
    }
    needed = [each for each in IN_VAIN if stepwise or each != "stop"]
    if any("logprobs" in each.needs for each in cell.searches):
        needed.append("logprobs")
    return Substitutes(
        emulated=tuple(each for each, is_used in emulated.items() if is_used),
        refused=tuple(each for each in needed if each in can.refused),
    )
