"""Whether a run goes on, by what became of its trees."""

import asyncio
from dataclasses import dataclass
from typing import Literal

from orchestrator.core.budget import Limits
from orchestrator.core.records import BAD_ANSWERS, ENDPOINT, RATE_LIMIT, Record
from orchestrator.errors import BudgetExhausted, EndpointUnavailable, RateLimited
from orchestrator.runs.endings import STOPPED

FAILURES_IN_A_ROW = 8
"""After so many trees in a row lost their endpoint, the run stops: what is left would fail too."""

Effect = Literal["done", "stopped", "rate limited", "over budget", "endpoint lost", "answers lost"]


def effect(record: Record) -> Effect:
    """What a tree's end means for its run."""
    if record.error is None:
        return "done"
    if record.error == STOPPED:
        return "stopped"
    found: dict[str | None, Effect] = {
        RATE_LIMIT: "rate limited",
        ENDPOINT: "endpoint lost",
        BAD_ANSWERS: "answers lost",
    }
    return found.get(record.ran_out, "over budget")


@dataclass(slots=True)
class Course:
    """The course of a run within ``limits``; ``scope`` names its ledger.

    Once there is an ``end``, no other tree begins, and the run raises it when those under way have
    answered.
    """

    limits: Limits
    scope: str
    end: RateLimited | BudgetExhausted | None = None
    _lost_in_a_row: int = 0

    def observe(self, record: Record) -> Effect:
        """Take note of a tree's end.

        Raises ``CancelledError`` where the run was stopped, and ``EndpointUnavailable`` when too
        many trees in a row have lost their endpoint.
        """
        found = effect(record)
        match found:
            case "stopped":
                raise asyncio.CancelledError
            case "rate limited":
                self.end = RateLimited(str(record.error), url="")
            case "over budget":
                self._exhaust(str(record.ran_out))
            case "endpoint lost":
                self._lost_in_a_row += 1
                if self._lost_in_a_row >= FAILURES_IN_A_ROW:
                    raise EndpointUnavailable(
                        f"{self._lost_in_a_row} trees in a row lost their endpoint; the last: "
                        f"{record.error}",
                        url="",
                    )
            case "done":
                self._lost_in_a_row = 0
            case "answers lost":
                pass  # which says nothing of the endpoint
        return found

    def _exhaust(self, limit: str) -> None:
        if not isinstance(self.end, RateLimited):  # a limit of a provider is the better reason
            self.end = BudgetExhausted(limit, getattr(self.limits, limit), self.scope)
