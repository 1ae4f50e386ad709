"""Extract the measurements that profiles are fitted to from the records of a run."""

from collections import defaultdict
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from orchestrator.core.difficulty import SAMPLING, independent_draws
from orchestrator.core.equivalence import SameByProblem, classes
from orchestrator.core.fanout import fan_out
from orchestrator.core.records import AUTO, Record
from orchestrator.core.voting import Max, Vote, Weighted
from orchestrator.errors import ProfileError
from orchestrator.optimal.arms import Arm, fallback_arms, sampling_arms, votes_of
from orchestrator.optimal.profiling.measured import USED, Leaf, Measured, Searched
from orchestrator.strategies.fallback import FALLBACKS

K = TypeVar("K", bound=Hashable)

TREE_VOTES: tuple[Vote, ...] = (Weighted("last"), Max("last"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Cells:
    """The cells of one policy and PRM by what they measure: the ids of the ``greedy`` and the
    ``samples`` cell, and the tree searches, each with one of its records."""

    greedy: str
    samples: str
    trees: Mapping[str, Record]
    settings: Mapping[str, Any]
    """The settings of the samples."""
    is_scored: bool
    has_logprobs: bool
    """Whether the server returned log-probabilities of the samples: asking is not enough."""

    @property
    def votes(self) -> tuple[Vote, ...]:
        """The votes that the samples can take."""
        return votes_of(is_scored=self.is_scored, has_logprobs=self.has_logprobs)

    def arms(self, pilots: int) -> list[tuple[Arm, str | None]]:
        """Every arm that these cells measure, with the cell of its tree search, if it has one."""
        samples = sampling_arms(self.settings, pilots, votes=self.votes)
        found: list[tuple[Arm, str | None]] = [(arm, None) for arm in samples]
        for cell, tree in self.trees.items():
            for vote in TREE_VOTES:
                alone = Arm(strategy=tree.strategy, settings=tree.settings, vote=vote)
                found.append((alone, cell))
                if tree.strategy in FALLBACKS:
                    falling_back = fallback_arms(samples, tree.strategy, tree.settings, vote)
                    found += [(arm, cell) for arm in falling_back]
        return found


def sort_out(records: Iterable[Record]) -> Cells:
    """Sort the cells of one policy and PRM by what they measure.

    Raises ``ProfileError`` if the greedy or the sample cell is missing.
    """
    records = list(records)
    found = {record.cell: record for record in records}
    cells = {cell: found[cell] for cell in sorted(found)}  # the same for any order of records
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
        has_logprobs=any(
            leaf.confidence is not None
            for record in records
            if record.cell == samples.cell
            for leaf in record.leaves
        ),
    )


def is_tree_search(record: Record) -> bool:
    """Whether its strategy runs a search of its own, on top of the pilots."""
    return record.strategy not in (*SAMPLING, AUTO)


def _is_greedy(record: Record) -> bool:
    return record.n == 1 and not record.settings.get("temperature")


async def measure(records: Iterable[Record], cells: Cells, same: SameByProblem) -> list[Measured]:
    """Every problem with a greedy solution and samples, and the results of its tree searches."""
    (found,) = (await measure_together({"": (records, cells)}, same)).values()
    return found


async def measure_together(
    groups: Mapping[K, tuple[Iterable[Record], Cells]], same: SameByProblem
) -> dict[K, list[Measured]]:
    """The same of several models, on the problems that all of them have: in one order, and equal
    answers to a problem have one class, whichever model gave them."""
    found = {key: _by_problem(records, cells) for key, (records, cells) in groups.items()}
    problems = sorted(set.intersection(*(set(each) for each in found.values())))
    rows = await fan_out(
        _measured(
            problem, [(cells, found[key][problem]) for key, (_, cells) in groups.items()], same
        )
        for problem in problems
    )
    return {key: [row[i] for row in rows] for i, key in enumerate(groups)}


def _by_problem(records: Iterable[Record], cells: Cells) -> dict[str, dict[str, Record]]:
    """The records by problem and cell, of the problems that have what a profile needs."""
    needed = {cells.greedy, cells.samples}
    found: dict[str, dict[str, Record]] = defaultdict(dict)
    for record in records:
        if record.error is None and record.cell in needed | cells.trees.keys():
            found[record.problem][record.cell] = record
    return {problem: own for problem, own in found.items() if own.keys() >= needed}


async def _measured(
    problem: str, groups: Sequence[tuple[Cells, Mapping[str, Record]]], same: SameByProblem
) -> list[Measured]:
    wanted = [
        {cell: own[cell] for cell in (cells.greedy, cells.samples, *cells.trees) if cell in own}
        for cells, own in groups
    ]
    answers = [leaf.answer for own in wanted for each in own.values() for leaf in each.leaves]
    numbers = iter(await classes(same(problem), answers))
    found = []
    for (cells, _), own in zip(groups, wanted, strict=True):
        results = {cell: _result(record, numbers) for cell, record in own.items()}
        greedy, samples = results.pop(cells.greedy), results.pop(cells.samples)
        found.append(
            Measured(
                problem=problem,
                greedy=greedy,
                samples=samples,
                trees=results,
                characters=own[cells.greedy].question_characters,
            )
        )
    return found


def _result(record: Record, numbers: Iterator[int | None]) -> Searched:
    """Takes the class of each leaf's answer from ``numbers``."""
    return Searched(
        leaves=tuple(
            Leaf(
                answer=next(numbers),
                right=bool(leaf.correct),
                scores=leaf.scores,
                tokens=leaf.tokens,
                text="".join(leaf.steps),
                confidence=leaf.confidence,
                question_logprob=leaf.question_logprob,
            )
            for leaf in record.leaves
        ),
        used=tuple(float(getattr(record, each)) for each in USED),
        one_per_request="n" in record.emulated,
    )
