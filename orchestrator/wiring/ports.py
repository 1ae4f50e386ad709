"""The ports of a run: its connected models, its task and its bill."""

from collections.abc import Sequence

from orchestrator.core.budget import Bill
from orchestrator.core.task import Task
from orchestrator.runs.plan import Cell, Ports
from orchestrator.wiring.connect import Connections
from orchestrator.wiring.experiment import Experiment
from orchestrator.wiring.needs import substitutes


def ports(
    experiment: Experiment,
    connected: Connections,
    cells: Sequence[Cell],
    task: Task,
    *,
    paid: float = 0.0,
) -> Ports:
    """The ports of ``cells``. ``paid`` is what earlier sessions of the run spent, in USD."""
    config = experiment.config
    return Ports(
        policies=dict(connected.policies),
        prms=dict(connected.prms),
        task=task,
        one_per_request=connected.one_per_request,
        substitutes={
            cell.id: substitutes(cell, config.policies, connected.found) for cell in cells
        },
        bill=Bill(config.budget.cost, paid),
        statuses=connected.statuses,
    )
