"""Continuous batching: what is in the batch changes nothing but the speed."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from servers.tiny.generation import Generator
from servers.tiny.jobs import Job, SamplingParams
from servers.tiny.prefix_cache import PrefixCache
from servers.tiny.runtime import Runtime
from servers.tiny.stats import Stats
from servers.tiny.stopping import StopRule
from servers.tiny.text import Text
from servers.tiny.ticket import JobTicket


class Bench:
    """A generator stepped by hand, without its thread."""

    def __init__(self, folder: Path, *, cache: int = 2**24, max_num_seqs: int = 256) -> None:
        runtime = Runtime(folder)
        self.text, self.stats = Text(folder), Stats()
        prefixes = PrefixCache(runtime.shape.layers, 2 * runtime.width, cache)
        self.generator = Generator(runtime, prefixes, self.stats, max_num_seqs=max_num_seqs)

    def sampling(self, *, seed: int = 0, n: int = 1, max_tokens: int = 24) -> SamplingParams:
        rule = StopRule.build(
            self.text,
            end_of_text=frozenset(self.text.encode("<|im_end|>")),
            strings=(),
            tokens=(),
            included=False,
        )
        return SamplingParams(
            n=n, temperature=1.0, top_p=1.0, max_tokens=max_tokens, seed=seed, rule=rule
        )

    def submit(self, sampling: SamplingParams, *prompts: str | list[int]) -> Job:
        ids = [self.text.encode(p) if isinstance(p, str) else p for p in prompts]
        job = Job(ids, sampling, JobTicket.open())
        self.generator.submit(job)
        return job

    @torch.inference_mode()
    def finish(self) -> None:
        while self.generator.step():
            pass

    @torch.inference_mode()
    def step(self) -> None:
        self.generator.step()


def tokens(job: Job) -> list[list[int]]:
    return [completion.ids for completion in job.completions]


@pytest.fixture
def bench(folders: dict[str, Path]) -> Bench:
    return Bench(folders["policy"])


async def test_a_request_gets_the_same_tokens_alone_and_among_others(bench: Bench) -> None:
    def ask() -> Job:
        return bench.submit(bench.sampling(seed=7, n=4), "Start with 10. Then A + 76.")

    alone = ask()
    bench.finish()
    for seed in range(20):
        bench.submit(bench.sampling(seed=seed, max_tokens=5 + seed), "x" * (1 + seed))
    bench.step()
    bench.step()
    crowded = ask()
    bench.finish()
    assert tokens(alone) == tokens(crowded)
    assert len({tuple(ids) for ids in tokens(alone)}) == 4


async def test_choices_are_prompt_major_and_prompts_draw_different_noise(bench: Bench) -> None:
    both = bench.submit(bench.sampling(n=3), "Step A", "Step A")
    bench.finish()
    assert len({tuple(ids) for ids in tokens(both)}) == 6
    first = bench.submit(bench.sampling(n=3), "Step A")
    bench.finish()
    assert tokens(first) == tokens(both)[:3]


async def test_the_prefix_cache_changes_speed_only(folders: dict[str, Path]) -> None:
    cached, plain = Bench(folders["policy"]), Bench(folders["policy"], cache=0)
    prompt, results = "Start with 10. Then A + 76, B * 2, C - 7.", []
    for bench in (cached, plain):
        first = bench.submit(bench.sampling(), prompt)
        bench.finish()
        path = first.prompts[0] + tokens(first)[0]
        second = bench.submit(bench.sampling(seed=3, n=2), path)
        bench.finish()
        results.append(tokens(second))
        expected = (len(path) - 1) // 8 * 8 if bench is cached else 0
        assert second.cached_tokens == expected
    assert results[0] == results[1]


async def test_prefixes_evicted_before_their_turn_are_computed_again(
    folders: dict[str, Path],
) -> None:
    results = []
    for cache in (2**17, 0):  # room for 8 blocks, and for none
        bench = Bench(folders["policy"], cache=cache)
        prompts = ["Start with 10. " * (1 + i % 6) + str(i) for i in range(30)]
        for _ in range(2):
            jobs = [bench.submit(bench.sampling(seed=5), prompt) for prompt in prompts]
            bench.finish()
        results.append([tokens(job) for job in jobs])
    assert results[0] == results[1]


async def test_requests_beyond_the_room_wait_and_are_served(folders: dict[str, Path]) -> None:
    bench = Bench(folders["policy"], max_num_seqs=5)
    jobs = [bench.submit(bench.sampling(seed=i, n=2), "Step A") for i in range(6)]
    large = bench.submit(bench.sampling(n=12), "Step B")
    bench.step()
    assert bench.stats.generating == 4
    assert bench.stats.waiting_to_generate == 4 + 3
    bench.finish()
    assert all(len(ids) == 24 for job in [*jobs, large] for ids in tokens(job))
    roomy = Bench(folders["policy"])
    same = roomy.submit(roomy.sampling(n=12), "Step B")
    roomy.finish()
    assert tokens(same) == tokens(large)


async def test_a_cancelled_request_leaves_at_the_next_step(bench: Bench) -> None:
    running = bench.submit(bench.sampling(n=3, max_tokens=400), "Step A")
    other = bench.submit(bench.sampling(seed=5), "Step B")
    bench.step()
    assert bench.stats.generating == 4
    running.ticket.cancelled = True
    bench.step()
    assert bench.stats.generating == 1
    bench.finish()
    assert len(tokens(other)[0]) == 24


async def test_generation_is_cut_at_the_end_of_the_context(bench: Bench) -> None:
    job = bench.submit(bench.sampling(max_tokens=10_000), [5] * 500)
    bench.finish()
    completion = job.completions[0]
    assert len(completion.ids) == 12
    assert completion.ending is not None
    assert completion.ending.finish_reason == "length"


async def test_logprobs_are_those_before_temperature(bench: Bench) -> None:
    sampling = replace(bench.sampling(max_tokens=3), logprobs=2, temperature=0.0)
    job = bench.submit(sampling, "Step A")
    bench.finish()
    for token, found in zip(job.completions[0].ids, job.completions[0].logprobs, strict=True):
        assert found.others[0] == (token, found.logprob)
        assert found.logprob >= found.others[1][1]
        assert found.logprob < 0


async def test_a_prompt_is_told_as_likely_as_sampling_finds_its_tokens(bench: Bench) -> None:
    """From whatever is cached of it, and with whatever else is in the batch."""
    greedy = replace(bench.sampling(max_tokens=12), logprobs=0, temperature=0.0)
    drawn = bench.submit(greedy, "Start with 10.")
    bench.finish()
    ids, completion = drawn.prompts[0], drawn.completions[0]
    asked = replace(bench.sampling(max_tokens=1), prompt_logprobs=2)
    told = bench.submit(asked, [*ids, *completion.ids], "Step B")
    bench.submit(bench.sampling(), "Step A")
    bench.finish()
    first, second = told.of_prompts
    assert (len(first), len(second)) == (len(ids) + 11, len(told.prompts[1]) - 1)
    for token, logprob, found in zip(
        completion.ids, completion.logprobs, first[len(ids) - 1 :], strict=True
    ):
        assert found.logprob == pytest.approx(logprob.logprob, abs=1e-4)
        assert found.rank == 1 and found.others[0] == (token, found.logprob)
    assert any(found.rank > 1 for found in first)


async def test_a_failure_reaches_every_waiting_request(bench: Bench) -> None:
    running = bench.submit(bench.sampling(), "Step A")
    bench.step()
    waiting = bench.submit(bench.sampling(), "Step B")
    bench.generator.fail(RuntimeError("broken"))
    for job in (running, waiting):
        with pytest.raises(RuntimeError, match="broken"):
            await job.ticket.wait()
