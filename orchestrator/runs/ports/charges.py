"""What a request was billed for: the one place that knows, whoever charges, counts or bills it.

A request that was answered is billed on its children, one that failed on its error; samples that
are a request each, on the children that came and, for those that did not, on one of these.
"""

from collections.abc import Sequence
from dataclasses import replace

from orchestrator.core.budget import Price, Spend
from orchestrator.core.node import Node, sharing
from orchestrator.errors import EndpointError


def policy_spend(children: Sequence[Node], price: Price | None = None) -> Spend:
    """What sampling ``children`` of one node took.

    That is the tokens of each, with its part of those that were lost, and the prompt of every
    request they came from once, be it one for all or one for each.
    """
    requests = {child.request: child for child in children}.values()
    spend = Spend(
        requests=len(requests),
        policy_tokens=sum(child.step_tokens + child.lost_tokens for child in children),
        prompt_tokens=sum(request.prompt_tokens for request in requests),
        cached_tokens=sum(request.cached_tokens for request in requests),
    )
    return _priced(spend, price)


def failed_spend(failure: EndpointError, price: Price | None = None) -> Spend:
    """What a policy's failed request took: the answers that could not be used."""
    spend = Spend(
        requests=int(failure.prompt_tokens + failure.written_tokens > 0),
        policy_tokens=failure.written_tokens,
        prompt_tokens=failure.prompt_tokens,
        cached_tokens=failure.cached_tokens,
    )
    return _priced(spend, price)


def _priced(spend: Spend, price: Price | None) -> Spend:
    if price is not None:
        spend.cost = price.cost(
            prompt_tokens=spend.prompt_tokens,
            cached_tokens=spend.cached_tokens,
            written_tokens=spend.policy_tokens,
        )
    return spend


def prm_spend(scored: Sequence[Node], price: Price | None = None, *, requests: int = 1) -> Spend:
    """What scoring ``scored`` took."""
    spend = Spend(
        requests=requests,
        prm_tokens=sum(node.prm_tokens for node in scored),
        prm_cached_tokens=sum(node.prm_cached_tokens for node in scored),
    )
    if price is not None:
        written = sum(node.prm_written_tokens for node in scored)
        spend.cost = price.cost(
            prompt_tokens=spend.prm_tokens - written,
            cached_tokens=spend.prm_cached_tokens,
            written_tokens=written,
        )
    return spend


def with_failures(child: Node, failures: Sequence[EndpointError]) -> Node:
    """``child``, billed for the failed requests beside it too."""
    failed = joined(failures)
    return replace(
        child,
        prompt_tokens=child.prompt_tokens + failed.prompt_tokens,
        cached_tokens=child.cached_tokens + failed.cached_tokens,
        lost_tokens=child.lost_tokens + failed.written_tokens,
    )


def joined(failures: Sequence[EndpointError]) -> EndpointError:
    """The first failure, billed for all of them."""
    first, *others = failures
    for other in others:
        first.prompt_tokens += other.prompt_tokens
        first.cached_tokens += other.cached_tokens
        first.written_tokens += other.written_tokens
    return first


def together(before: Sequence[Node], drawn: Sequence[Node]) -> list[Node]:
    """The samples from ``before`` and those drawn since, billed for both requests."""
    children = {child.path: child for child in (*drawn, *before)}
    took = policy_spend(before)
    took.add(policy_spend(drawn))
    return sharing(
        [children[path] for path in sorted(children)],
        prompt_tokens=took.prompt_tokens,
        cached_tokens=took.cached_tokens,
        written_tokens=took.policy_tokens,
    )
