"""What an endpoint can do, found out by asking: before a run, and for ``orchard check``."""

import difflib
from dataclasses import dataclass

from orchestrator.core.ports import PRM, Policy, Sampling
from orchestrator.core.tree import Node, root
from orchestrator.endpoints.transport import Transport
from orchestrator.errors import EndpointError, EndpointRefused, EndpointUnavailable

_QUESTION = "What is 1 + 1?"
_STEP = Sampling(temperature=0.7, max_tokens=16, until="step")


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyAbilities:
    """What a policy's endpoint was seen to do."""

    context: int | None
    token_ids: bool
    continues: bool
    seed_honoured: bool
    samples_differ: bool


async def check_served(transport: Transport) -> int | None:
    """The context length of the served model, where the server tells.

    Raises ``EndpointRefused`` where some replica does not serve it, and names what it serves.
    """
    endpoint, context = transport.endpoint, None
    for base in endpoint.bases:
        cards = {card.id: card for card in (await transport.models(base)).data}
        card = cards.get(endpoint.model)
        if card is None:
            near = difflib.get_close_matches(endpoint.model, cards, n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"it serves: {', '.join(cards)}"
            raise EndpointRefused(
                f"{base} does not serve the model {endpoint.model!r}; {hint}", url=base
            )
        context = card.max_model_len
    return context


async def probe_policy(transport: Transport, policy: Policy) -> PolicyAbilities:
    """Try a policy with a handful of tokens. Raises ``EndpointError``."""
    context = await check_served(transport)
    start = root(_QUESTION, seed=1, problem_id="probe")
    first = await policy.extend(start, 2, _STEP)
    again = await policy.extend(start, 2, _STEP)
    return PolicyAbilities(
        context=context,
        token_ids=first[0].token_ids is not None,
        continues=await _continues(policy, first[0]),
        seed_honoured=[child.steps for child in first] == [child.steps for child in again],
        samples_differ=first[0].steps != first[1].steps,
    )


async def _continues(policy: Policy, child: Node) -> bool:
    try:
        await policy.extend(child, 1, _STEP)
    except EndpointUnavailable:
        raise
    except EndpointError:
        return False
    return True


async def probe_prm(transport: Transport, prm: PRM) -> int | None:
    """Score a two-step solution; the context length where the server tells.

    Raises ``EndpointError``, for instance where the scores are not one a step.
    """
    context = await check_served(transport)
    steps = ("1 + 1 = 2.\n\n", r"The answer is $\boxed{2}$.")
    await prm.score([root(_QUESTION, seed=1, problem_id="probe").child(0, steps, finish="stop")])
    return context
