"""Check the needs of a run's cells against the abilities of their endpoints."""

from collections.abc import Mapping, Sequence

from orchestrator.config.endpoints import INSTRUCTED, PolicyConfig
from orchestrator.core.ports import Strategy
from orchestrator.endpoints.probing.probe import PolicyAbilities, PRMAbilities
from orchestrator.errors import ConfigError
from orchestrator.runs.plan import Cell, Substitutes
from orchestrator.strategies.building import name_of
from orchestrator.strategies.traits import traits

Found = Mapping[str, PolicyAbilities | PRMAbilities]
"""The abilities of each endpoint, by its name in the config."""


_QUESTION_TOKENS = 512
"""Tokens of context for the question: a rough bound."""

_SOLUTION_TOKENS = 8_192
"""Tokens of context for a solution whose strategy sets no bound."""

ENOUGH_TOKENS = 2_048
"""The least ``max_tokens`` to suggest for a reasoning model."""


def context_needed(policy: str, cells: Sequence[Cell]) -> int:
    """Tokens of context that the longest solutions of ``cells`` need."""
    searches = [each for cell in cells for each in cell.searches_of(policy)]
    return max((_QUESTION_TOKENS + _longest(each) for each in searches), default=0)


def tokens_allowed(policy: str, cells: Sequence[Cell]) -> int:
    """The largest ``max_tokens`` of a policy's cells."""
    searches = [each for cell in cells for each in cell.searches_of(policy)]
    return max((traits(each).max_tokens or 0 for each in searches), default=0)


def _longest(search: Strategy) -> int:
    """The most tokens that a solution of this search can have."""
    bounds = traits(search)
    return (bounds.max_tokens or _SOLUTION_TOKENS) * bounds.max_depth


def check_able(cells: Sequence[Cell], policies: Mapping[str, PolicyConfig], found: Found) -> None:
    """Raises ``ConfigError`` if a cell needs something that a policy's server cannot do."""
    for cell in cells:
        for policy in cell.policies:
            can = found[policy.name]
            assert isinstance(can, PolicyAbilities)
            _check_able(cell, policy.name, policies[policy.name], can)


def _check_able(cell: Cell, policy: str, settings: PolicyConfig, can: PolicyAbilities) -> None:
    if settings.continuation == "tokens" and can.continuation != "tokens":
        raise ConfigError(
            f"the server of {policy} does not return token ids: leave its `continuation` out, or "
            "set `continuation: chat`"
        )
    _check_thought(cell, policy, can)
    stepwise = [
        each
        for each in cell.searches_of(policy)
        if "continuation" in each.needs and not traits(each).fallbacks
    ]
    if not stepwise or settings.continuation == INSTRUCTED:
        return
    name = cell.strategy_name
    if cell.strategy not in stepwise:
        name += f" (which may come to {name_of(stepwise[0])})"
    lacks = _lacks(can, settings)
    if lacks and settings.hosted:
        raise ConfigError(
            f"{policy} is hosted and {lacks}, as {name} needs: use cot, majority or best_of_n, or "
            "have it emulated with `continuation: instructed`, which the results then say"
        )
    if lacks:
        raise ConfigError(
            f"the server of {policy} {lacks}, as {name} needs: use cot, majority or best_of_n, or "
            "serve it with vLLM"
        )


def _check_thought(cell: Cell, policy: str, can: PolicyAbilities) -> None:
    """Raises ``ConfigError`` if a cell's ``max_tokens`` would cut samples mid-thought."""
    used = can.tokens_to_answer
    if used is None:
        return
    for each in cell.searches_of(policy):
        bound = traits(each).max_tokens
        if bound is not None and bound <= used:
            raise ConfigError(
                f"{policy} is a reasoning model: it took {used:,} tokens for a sum, and "
                f"{cell.strategy_name} gives it {bound:,}: set `max_tokens` to at least "
                f"{enough_tokens(used):,}"
            )


def enough_tokens(used: int) -> int:
    """Suggest a ``max_tokens``, a power of two; ``used`` is what the model took to add numbers."""
    return max(ENOUGH_TOKENS, 1 << (4 * used - 1).bit_length())


def remarks(name: str, cells: Sequence[Cell], found: Found) -> list[str]:
    """Warnings about a policy. They stop no cell, but are worth knowing before the run."""
    can, mine = found[name], [cell for cell in cells if cell.searches_of(name)]
    if not isinstance(can, PolicyAbilities):
        return []
    notes = []
    if can.tokens_to_answer is not None:
        enough = enough_tokens(can.tokens_to_answer)
        bounds = [traits(each).max_tokens for cell in mine for each in cell.searches_of(name)]
        if any(bound is not None and bound < enough for bound in bounds):
            notes.append(
                f"a reasoning model, which took {can.tokens_to_answer:,} tokens for a sum: "
                f"set `max_tokens` to at least {enough:,}"
            )
    stepwise = any(_continues(each) for cell in mine for each in cell.searches_of(name))
    if can.trims and can.continuation == "chat" and stepwise:
        notes.append(
            "loses the blank line at the end of an open message (its chat template trims it), so "
            "that each step takes two requests: a template that keeps it saves one (vLLM: "
            "--chat-template)"
        )
    if can.cuts_at is not None:
        notes.append(
            f"cuts prompts at {can.cuts_at:,} tokens and does not say so: raise the context of its "
            "server (Ollama: num_ctx, or OLLAMA_CONTEXT_LENGTH), or solutions end there"
        )
    if not can.samples_differ and any(cell.weight > 1 for cell in mine):
        notes.append(
            "answers each request alike, whatever its seed and temperature: its samples are copies"
        )
    return notes


def _continues(search: Strategy) -> bool:
    return "continuation" in search.needs


def _lacks(can: PolicyAbilities, settings: PolicyConfig) -> str | None:
    """What the endpoint lacks for stepwise search, as the predicate of a sentence; None if
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


SAMPLING_PARAMETERS = ("temperature", "top_p", "seed", "stop")
"""Parameters that change what is sampled; a server that ignores one samples something else."""


def substitutes(cell: Cell, policies: Mapping[str, PolicyConfig], found: Found) -> Substitutes:
    """What a cell needs that its endpoints lack: what is emulated, and what is left out."""
    parts = [_substitutes(cell, each.name, policies[each.name], found) for each in cell.policies]
    return Substitutes(
        emulated=tuple(dict.fromkeys(each for part in parts for each in part.emulated)),
        refused=tuple(dict.fromkeys(each for part in parts for each in part.refused)),
    )


def _substitutes(cell: Cell, policy: str, settings: PolicyConfig, found: Found) -> Substitutes:
    can, searches = found[policy], cell.searches_of(policy)
    assert isinstance(can, PolicyAbilities)
    stepwise = any(map(_continues, searches))
    asked = [can, *(found.get(prm.name) for prm in cell.prms)]
    emulated = {
        "model": any(each is not None and each.simulated for each in asked),
        "n": not can.n and cell.weight > 1,
        "samples": not can.samples_differ and cell.weight > 1,
        "continuation": stepwise and settings.continuation == INSTRUCTED,
    }
    needed = [each for each in SAMPLING_PARAMETERS if stepwise or each != "stop"]
    if any("logprobs" in each.needs for each in searches):
        needed.append("logprobs")
    return Substitutes(
        emulated=tuple(each for each, is_used in emulated.items() if is_used),
        refused=tuple(
            each
            for each in needed
            if each in can.refused or (each == "logprobs" and not can.logprobs)
        ),
    )
