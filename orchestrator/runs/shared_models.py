"""The models of a run, as its trees share them."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Self

from orchestrator.core.budget import Spend
from orchestrator.core.node import root
from orchestrator.core.ports import Models
from orchestrator.core.problem import Problem
from orchestrator.runs.plan import Cell, Plan, Ports
from orchestrator.runs.ports.replay import Remembering
from orchestrator.runs.ports.sharing import Demand, SharedPolicy, SharedPRM
from orchestrator.runs.ports.stack import RunWide, Terms, stack, stack_prm
from orchestrator.runs.ports.trees import AcrossModels
from orchestrator.runs.ports.unscored import Unscored


@dataclass(frozen=True, slots=True)
class SharedModels:
    """Policies by name, and the PRMs by policy and name: what they share belongs to one policy's
    solutions."""

    policies: Mapping[str, SharedPolicy]
    prms: Mapping[tuple[str, str], SharedPRM]
    run: RunWide
    seed: int

    @classmethod
    def of(cls, plan: Plan, ports: Ports, sent: Spend, memory: Remembering | None) -> Self:
        """Those of ``ports``, wrapped for all trees of ``plan``; ``sent`` adds up what they are
        really asked for."""
        models = [model for cell in plan.cells for model in cell.models]
        run = RunWide(
            prices={model.name: model.price for model in models if model.price},
            one_per_request=ports.one_per_request,
            on_failed_branch=plan.on_failed_branch,
            bill=ports.bill,
            sent=sent,
            memory=memory,
        )
        policies = {
            name: stack(policy, name=name, demand=_demand(plan, name), run=run)
            for name, policy in ports.policies.items()
        }
        prms = {
            (policy, name): stack_prm(
                prm, name=name, draws=_demand(plan, policy, name).draws, run=run
            )
            for policy in policies
            for name, prm in ports.prms.items()
        }
        return cls(policies, prms, run, plan.seed)

    def models(self, cell: Cell) -> Models:
        """What a cell's trees are grown with."""
        prm = self.prms[cell.policy.name, cell.prm.name] if cell.prm else Unscored()
        return Models(self.policies[cell.policy.name], prm)

    def terms(self, cell: Cell) -> Terms:
        """What the requests of a cell's trees cost, and what happens when one fails."""
        return Terms.of(self.run, cell.policy.name, cell.prm.name if cell.prm else None)

    def across(self, cell: Cell) -> AcrossModels:
        """What the trees of a cell across models are grown with. They draw and score nothing that
        another cell does."""
        return AcrossModels(
            policies={each.name: self.policies[each.name].policy for each in cell.policies},
            prms={each.name: self.prms[cell.policies[0].name, each.name].prm for each in cell.prms},
            terms=partial(Terms.of, self.run),
        )

    def forget(self, policy: str, problem: Problem) -> str:
        """Drop what was drawn and scored for a problem, and return the key of the tree that it
        belonged to."""
        self.policies[policy].forget(problem.id)
        for of_policy, name in self.prms:
            if of_policy == policy:
                self.prms[of_policy, name].forget(problem.id)
        start = root(problem.question, seed=self.seed, problem_id=problem.id)
        return self.policies[policy].tree_key(start.seed)


def _demand(plan: Plan, policy: str, prm: str | None = None) -> Demand:
    """Of the cells of a policy, or of those under this PRM alone."""
    cells = [
        cell
        for cell in plan.cells
        if cell.across is None
        and cell.policy.name == policy
        and (prm is None or (cell.prm is not None and cell.prm.name == prm))
    ]
    return Demand(cells, plan.problems)
