"""Step scores and label probabilities against the plain model."""

from pathlib import Path

import pytest
import torch

from servers.tiny.model import load
from servers.tiny.prefix_cache import PrefixCache
from servers.tiny.runtime import Runtime
from servers.tiny.scoring import ScoreJob, StepScorer, StepTags
from servers.tiny.stats import Stats
from servers.tiny.text import Text
from servers.tiny.ticket import JobTicket

STEPS = ["Step A + 76: 10 + 76 = 86", "Step B * 2: 86 * 2 = 172", "Step C - 7: 172 - 7 = 165"]


class Bench:
    """A scorer stepped by hand, beside the plain model it is checked against."""

    def __init__(self, folder: Path, tag: str, labels: tuple[str, str] | None, cache: int) -> None:
        self.text, self.stats, runtime = Text(folder), Stats(), Runtime(folder)
        ids = (self.text.only_id(labels[0]), self.text.only_id(labels[1])) if labels else None
        self.tag, self.tags = tag, StepTags(self.text.only_id(tag), ids)
        prefixes = PrefixCache(runtime.shape.layers, 2 * runtime.width, cache)
        self.scorer = StepScorer(runtime, prefixes, self.stats, self.tags)
        self.model = load(folder)

    def ids(self, *steps: str) -> list[int]:
        return self.text.encode("Start with 10.\n" + "".join(f"{s}{self.tag}\n\n" for s in steps))

    @torch.inference_mode()
    def expected(self, ids: list[int]) -> list[list[float]]:
        states = self.model(torch.tensor([ids]))[0]
        tagged = states[torch.tensor(ids) == self.tags.tag]
        if self.tags.labels is None:
            logits = self.model.score(tagged)
        else:
            logits = self.model.logits(tagged)[:, list(self.tags.labels)]
        return logits.softmax(-1).tolist()  # type: ignore[no-any-return]

    @torch.inference_mode()
    def score(self, *inputs: list[int], labels: tuple[int, ...] = ()) -> ScoreJob:
        job = ScoreJob(list(inputs), JobTicket.open(), labels)
        self.scorer.submit(job)
        while self.scorer.step():
            pass
        return job


@pytest.fixture(params=["qwen-prm", "shepherd-prm"])
def bench(request: pytest.FixtureRequest, folders: dict[str, Path]) -> Bench:
    if request.param == "qwen-prm":
        return Bench(folders["qwen-prm"], "<extra_0>", None, 2**24)
    return Bench(folders["shepherd-prm"], " ки", ("+", "-"), 2**24)


def close(found: list[tuple[float, float]], expected: list[list[float]]) -> bool:
    return len(found) == len(expected) and all(
        abs(a - c) < 1e-5 and abs(b - d) < 1e-5
        for (a, b), (c, d) in zip(found, expected, strict=True)
    )


async def test_a_score_for_every_tag_of_every_sequence(bench: Bench) -> None:
    inputs = [bench.ids(*STEPS), bench.ids(*STEPS[:1]), bench.ids()]
    job = bench.score(*inputs)
    assert [len(steps) for steps in job.steps] == [3, 1, 0]
    for found, ids in zip(job.steps, inputs, strict=True):
        assert close(found, bench.expected(ids))


async def test_a_longer_path_pays_for_its_new_step_and_keeps_all_scores(bench: Bench) -> None:
    first, second = bench.ids(*STEPS[:2]), bench.ids(*STEPS)
    assert bench.score(first).cached_tokens == 0
    grown = bench.score(second)
    assert grown.cached_tokens == len(first) // 8 * 8
    assert close(grown.steps[0], bench.expected(second))


async def test_siblings_compute_their_common_path_once(bench: Bench) -> None:
    siblings = [bench.ids(*STEPS[:2], f"Step C - {i}: 172 - {i} = 9") for i in (1, 22, 103, 4)]
    job = bench.score(*siblings)
    shared = len(bench.ids(*STEPS[:2])) // 8 * 8
    assert job.cached_tokens >= 3 * shared
    for found, ids in zip(job.steps, siblings, strict=True):
        assert close(found, bench.expected(ids))


async def test_blocks_evicted_before_their_turn_are_computed_again(
    folders: dict[str, Path],
) -> None:
    bench = Bench(folders["qwen-prm"], "<extra_0>", None, 2**17)
    inputs = [bench.ids(*(STEPS * 3)[: 1 + i % 8], f"{i} {i}") for i in range(40)]
    for _ in range(2):
        job = bench.score(*inputs)
        for found, ids in zip(job.steps, inputs, strict=True):
            assert close(found, bench.expected(ids))


async def test_label_probabilities_follow_the_last_token(folders: dict[str, Path]) -> None:
    bench = Bench(folders["shepherd-prm"], " ки", ("+", "-"), 2**24)
    inputs, labels = [bench.ids(*STEPS[:1]), [5, 6, 7]], (14, 16, 20)
    job = bench.score(*inputs, labels=labels)
    for found, ids in zip(job.label_logprobs, inputs, strict=True):
        with torch.inference_mode():
            states = bench.model(torch.tensor([ids]))[0, -1:]
            expected = bench.model.logits(states).log_softmax(-1)[0, list(labels)]
        assert torch.allclose(torch.tensor(found), expected, atol=1e-5)


async def test_many_sequences_are_scored_in_batches(bench: Bench) -> None:
    inputs = [bench.ids(*(STEPS * 3)[: 1 + i % 7], str(i)) for i in range(150)]
    job = bench.score(*inputs)
    assert job.unfinished == 0
    for index in (0, 70, 149):
        assert close(job.steps[index], bench.expected(inputs[index]))
