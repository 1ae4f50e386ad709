"""Score labelled solutions: many in flight, none scored twice."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from orchestrator.core.budget import Ledger, Price, Spend
from orchestrator.core.node import Finish, Node, root
from orchestrator.core.ports import PRM
from orchestrator.errors import BadResponse
from orchestrator.evaluation.evaluate import Failure
from orchestrator.evaluation.samples import DataSet, LabelledSolution, ScoredSolution
from orchestrator.evaluation.working import for_each
from orchestrator.formats.jsonlines import JsonLines
from orchestrator.runs.ports.metering import MeteredPRM

TOO_LONG = "longer than the PRM's context"
_UNSCORED: dict[Finish | None, str] = {
    "overflow": TOO_LONG,
    "filtered": "stopped by the content filter of the PRM's provider",
    "refused": "refused by the PRM's server, which takes others",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredScores:
    """One line of the scores' journal: a PRM's scores of one solution.

    ``judge`` identifies the PRM and all settings its scores depend on, ``digest`` the text it read.
    ``scores`` holds one per step, in 0..1; ``tokens`` counts what the PRM read.
    """

    judge: str
    digest: str
    scores: tuple[float, ...]
    tokens: int
    spent: Spend = field(default_factory=Spend)


@dataclass(frozen=True, slots=True, kw_only=True)
class EvaluatedPRM:
    """A PRM under evaluation: its name in the config and its ``price``, where known.

    ``identity`` extends the name by a digest of everything that its scores depend on.
    """

    name: str
    identity: str
    price: Price | None = None


@dataclass(slots=True)
class Scorer:
    """Scores solutions into a journal, and skips those that the journal holds.

    ``failures`` maps judge and digest to a reason, for this session only: the next one retries.
    """

    journal: JsonLines[StoredScores]
    failures: dict[tuple[str, str], str]
    _known: dict[tuple[str, str], StoredScores]

    @classmethod
    def of(cls, journal: JsonLines[StoredScores]) -> "Scorer":
        return cls(journal, {}, {(s.judge, s.digest): s for s in journal.read()})

    def unscored(
        self, judges: Sequence[EvaluatedPRM], samples: Iterable[LabelledSolution]
    ) -> list[tuple[EvaluatedPRM, LabelledSolution]]:
        """The pairs that the journal does not hold yet, each text once."""
        wanted = {
            (judge.identity, sample.digest): (judge, sample)
            for sample in samples
            for judge in judges
        }
        return [pair for key, pair in wanted.items() if key not in self._known]

    async def run(
        self,
        work: Sequence[tuple[EvaluatedPRM, LabelledSolution]],
        prms: Mapping[str, PRM],
        *,
        in_flight: int,
        ledger: Ledger,
        tick: Callable[[], None] = lambda: None,
    ) -> None:
        """Score ``work`` by ``prms``, which are keyed by the judge's name.

        Charges the ``ledger``; calls ``tick`` after every sample. A response that cannot be parsed,
        and a sample that is too long or refused, fail that sample alone. Raises
        ``EndpointRefused``, ``EndpointUnavailable``, and ``BudgetExhausted`` once everything under
        way is scored.
        """

        async def one(item: tuple[EvaluatedPRM, LabelledSolution]) -> None:
            judge, sample = item
            await self._one(judge, sample, prms[judge.name], ledger.scope("sample"))
            tick()

        await for_each(work, one, in_flight=in_flight)

    async def _one(
        self, judge: EvaluatedPRM, sample: LabelledSolution, prm: PRM, scope: Ledger
    ) -> None:
        key = judge.identity, sample.digest
        try:
            (node,) = await MeteredPRM(prm, scope, judge.price).score([_node(sample)])
        except BadResponse as error:
            self.failures[key] = str(error)
            return
        if node.unscored:
            self.failures[key] = "a step cannot be scored: it spells what ends a step for the PRM"
            return
        if node.finish in _UNSCORED:
            self.failures[key] = _UNSCORED[node.finish]
            return
        scores = StoredScores(
            judge=judge.identity,
            digest=sample.digest,
            scores=tuple(round(score, 6) for score in node.scores),
            tokens=node.prm_tokens,
            spent=scope.spent,
        )
        self.journal.add(scores)
        self._known[key] = scores

    def judged(
        self, judge: EvaluatedPRM, data: DataSet
    ) -> tuple[list[ScoredSolution], list[Failure], int]:
        """The samples with their scores, those that failed, and the tokens the PRM read."""
        judged, failed, tokens = [], [], 0
        for sample in data.samples:
            key = judge.identity, sample.digest
            if key in self._known:
                judged.append(ScoredSolution(sample=sample, scores=self._known[key].scores))
                tokens += self._known[key].tokens
            else:
                failed.append(Failure(sample=sample.id, reason=self.failures[key]))
        return judged, failed, tokens


def _node(sample: LabelledSolution) -> Node:
    return root(sample.problem, seed=0, problem_id=sample.id).child(0, sample.steps, finish="stop")
