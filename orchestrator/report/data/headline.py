"""The headline: the one comparison a run is about, named before its numbers are known."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from orchestrator.errors import RunError
from orchestrator.report.data.cells import BASELINE, CellRecords
from orchestrator.report.data.paired import Paired, paired


@dataclass(frozen=True, slots=True, kw_only=True)
class HeadlineSpec:
    """The small policy's cell and vote, and the policy whose CoT they are compared to.

    The config names it beforehand, so that nobody picks the best of many cells afterwards.
    ``task`` is needed only where the run has several.
    """

    small: str
    prm: str | None
    strategy: str
    n: int
    vote: str
    large: str
    task: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Headline:
    """A small policy with search against a large one's CoT, over the problems both attempted.

    ``difference`` is small less large, with its 95 % paired bootstrap interval. The ``sound``
    fields are the same comparison by whole-chain accuracy, None where a chain cannot be judged.
    """

    task: str
    small: str
    small_params: int | None
    prm: str | None
    prm_params: int | None
    strategy: str
    n: int
    vote: str
    small_accuracy: float
    large: str
    large_params: int | None
    large_accuracy: float
    difference: float
    ci_low: float
    ci_high: float
    problems: int
    small_sound_accuracy: float | None = None
    large_sound_accuracy: float | None = None
    sound_difference: float | None = None
    sound_ci_low: float | None = None
    sound_ci_high: float | None = None


def compare(cells: Sequence[CellRecords], spec: HeadlineSpec) -> Headline:
    """The headline of a run.

    Raises ``RunError`` where the run lacks one of the two cells, the vote, or common problems.
    """
    task = _task(cells, spec)
    small = _find(
        cells,
        f"{spec.small} {spec.strategy} N = {spec.n} under {spec.prm or 'no PRM'} on {task}",
        lambda cell: (
            (cell.sample.task, cell.sample.policy, cell.sample.prm, cell.sample.strategy)
            == (task, spec.small, spec.prm, spec.strategy)
            and cell.sample.n == spec.n
        ),
    )
    large = _find(
        cells,
        f"{spec.large} {BASELINE} on {task}",
        lambda cell: (
            (cell.sample.task, cell.sample.policy, cell.sample.strategy)
            == (task, spec.large, BASELINE)
        ),
    )
    if spec.vote not in small.votes:
        raise RunError(
            f"the headline's vote {spec.vote} was not counted in {small}; "
            f"counted were: {', '.join(small.votes) or 'none'}"
        )
    # CoT has a single leaf, which every vote elects.
    baseline_vote = next(iter(large.votes), spec.vote)
    answers = paired(small.correct(spec.vote), large.correct(baseline_vote))
    if answers is None:
        raise RunError(f"no problem was attempted by both {small} and {large}")
    ours, theirs = small.sound(spec.vote), large.sound(baseline_vote)
    chains = None if ours is None or theirs is None else paired(ours, theirs)
    return Headline(
        task=task,
        small=spec.small,
        small_params=small.sample.policy_params,
        prm=spec.prm,
        prm_params=small.sample.prm_params,
        strategy=spec.strategy,
        n=spec.n,
        vote=spec.vote,
        small_accuracy=answers.ours,
        large=spec.large,
        large_params=large.sample.policy_params,
        large_accuracy=answers.theirs,
        difference=answers.difference,
        ci_low=answers.ci_low,
        ci_high=answers.ci_high,
        problems=answers.problems,
        **_sound_fields(chains),
    )


def _sound_fields(chains: Paired | None) -> dict[str, float]:
    if chains is None:
        return {}
    return {
        "small_sound_accuracy": chains.ours,
        "large_sound_accuracy": chains.theirs,
        "sound_difference": chains.difference,
        "sound_ci_low": chains.ci_low,
        "sound_ci_high": chains.ci_high,
    }


def _task(cells: Sequence[CellRecords], spec: HeadlineSpec) -> str:
    tasks = sorted({cell.sample.task for cell in cells})
    if spec.task is not None:
        return spec.task
    if len(tasks) > 1:
        raise RunError(f"the headline must say its task: this run has {', '.join(tasks)}")
    return tasks[0] if tasks else "any task"


def _find(
    cells: Sequence[CellRecords], wanted: str, matches: Callable[[CellRecords], bool]
) -> CellRecords:
    found = [cell for cell in cells if matches(cell)]
    if not found:
        existing = "\n".join(f"  {cell}" for cell in cells) or "  none"
        raise RunError(
            f"the headline needs the cell {wanted}, which this run lacks. Its cells:\n{existing}"
        )
    # CoT may have run under each PRM, with the same result; cells with other settings differ.
    first, *others = [cell for cell in found if cell.sample.prm == found[0].sample.prm]
    if others:
        raise RunError(
            f"the headline names {wanted}, but several cells of this run answer to that: "
            f"{', '.join(cell.id for cell in (first, *others))}. Leave one of them in the config."
        )
    return first
