"""From the records of a run to what profiles are fitted to."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from orchestrator.core.difficulty import SAMPLING, independent_draws
from orchestrator.core.equivalence import SameByProblem, classes
from orchestrator.core.fanout import fan_out
from orchestrator.core.records import AUTO, Record
from orchestrator.core.voting import Majority, Max, Vote, Weighted
from orchestrator.errors import ProfileError
from orchestrator.optimal.arms import SCORED_VOTES, Arm, followed_arms, sampling_arms
from orchestrator.optimal.profiling.measured import USED, Leaf, Measured, Searched
from orchestrator.strategies.fallback import FALLBACKS

TREE_VOTES: tuple[Vote, ...] = (Weighted("last"), Max("last"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Cells:
    """What the cells of one policy and PRM measure: the names of those of the ``greedy`` solution
    and of the independent ``samples``, and the ``trees``, each with one of its records."""

    greedy: str
    samples: str
    trees: Mapping[str, Record]
    settings: Mapping[str, Any]
    """The samples'."""
    is_scored: bool

    def arms(self, pilots: int) -> list[tuple[Arm, str | None]]:
        """Every arm they measure, with the cell of the tree search that it is or falls back to."""
        votes = SCORED_VOTES if self.is_scored else (Majority(),)
        samples = sampling_arms(self.settings, pilots, votes=votes)
        found: list[tuple[Arm, str | None]] = [(arm, None) for arm in samples]
        for cell, tree in self.trees.items():
            for vote in TREE_VOTES:
                alone = Arm(strategy=tree.strategy, settings=tree.settings, vote=vote)
                found.append((alone, cell))
                if tree.strategy in FALLBACKS:
                    followed = followed_arms(samples, tree.strategy, tree.settings, vote)
                    found += [(arm, cell) for arm in followed]
        return found


def sort_out(records: Iterable[Record]) -> Cells:
    """Sort the cells of one policy and PRM by what they measure.

    Raises ``ProfileError`` where the greedy or the independent solutions are missing.
    """
    found = {record.cell: record for record in records}
    cells = {cell: found[cell] for cell in sorted(found)}  # in whatever order they were measured
    whole = [record for record in cells.values() if record.strategy in SAMPLING]
    greedy = next((each for each in whole if _is_greedy(each)), None)
    drawn = [each for each in whole if independent_draws(each) and not each.settings.get("stop")]
    samples = max(drawn, key=lambda each: each.n, default=None)
    if greedy is None or samples is None:
        raise ProfileError(
            "a profile needs cells of the greedy solution and of many samples, scored by the PRM "
            "where there is one: best_of_n with n: 1 and temperature: 0, and best_of_n with n: 64 "
            "for example (cot and majority without a PRM)"
        )
    return Cells(
        greedy=greedy.cell,
        samples=samples.cell,
        trees={cell: each for cell, each in cells.items() if is_tree_search(each)},
        settings=samples.settings,
        is_scored=samples.prm is not None,
    )


def is_tree_search(record: Record) -> bool:
    """Whether its strategy adds a search of its own to the pilots, whatever it is."""
    return record.strategy not in (*SAMPLING, AUTO)


def _is_greedy(record: Record) -> bool:
    return record.n == 1 and not record.settings.get("temperature")


async def measure(records: Iterable[Record], cells: Cells, same: SameByProblem) -> list[Measured]:
    """Every problem with a greedy solution and samples, and what came of the trees it was tried
    in."""
    needed = {cells.greedy, cells.samples}
    wanted = needed | cells.trees.keys()
    found: dict[str, dict[str, Record]] = defaultdict(dict)
    for record in records:
        if record.error is None and record.cell in wanted:
            found[record.problem][record.cell] = record
    return await fan_out(
        _measured(problem, found[problem], cells, same)
        for problem in sorted(found)
        if found[problem].keys() >= needed
    )


async def _measured(
    problem: str, records: Mapping[str, Record], cells: Cells, same: SameByProblem
) -> Measured:
    tried = [cell for cell in cells.trees if cell in records]
    kept = [records[cell] for cell in (cells.greedy, cells.samples, *tried)]
    answers = [leaf.answer for each in kept for leaf in each.leaves]
    numbers = iter(await classes(same(problem), answers))
    greedy, samples, *trees = [_searched(record, numbers) for record in kept]
    return Measured(
        problem=problem,
        greedy=greedy,
        samples=samples,
        trees=dict(zip(tried, trees, strict=True)),
    )


def _searched(record: Record, numbers: Iterator[int | None]) -> Searched:
    """``numbers`` are the classes of its leaves' answers, and of those of records after it."""
    return Searched(
        leaves=tuple(
            Leaf(
                answer=next(numbers),
                right=bool(leaf.correct),
                scores=leaf.scores,
                tokens=leaf.tokens,
                text="".join(leaf.steps),
                logprob=leaf.logprob,
            )
            for leaf in record.leaves
        ),
        used=tuple(float(getattr(record, each)) for each in USED),
        one_per_request="n" in record.emulated,
    )
