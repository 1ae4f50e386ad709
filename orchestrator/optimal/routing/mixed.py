"""Two plans across models in one cell: each problem goes by one of them."""

from dataclasses import dataclass

from orchestrator.core.ports import Strategy
from orchestrator.optimal.routing.across import RoutingAcross


@dataclass(frozen=True, slots=True, kw_only=True)
class MixedRouting:
    """Sends ``dear_problems``, given by their ids, by the plan of ``dear``, and all others by that
    of ``cheap``."""

    cheap: RoutingAcross
    dear: RoutingAcross
    dear_problems: frozenset[str]

    def of(self, problem: str) -> RoutingAcross:
        """The routing of a problem."""
        return self.dear if problem in self.dear_problems else self.cheap

    def searches_of(self, policy: str) -> list[Strategy]:
        """What either plan may ask a policy for."""
        found = self.cheap.searches_of(policy)
        return found + [each for each in self.dear.searches_of(policy) if each not in found]
