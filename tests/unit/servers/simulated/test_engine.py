import asyncio

import pytest

from servers.simulated import clock
from servers.simulated.engine import Engine, Prompt
from servers.simulated.hardware import GPUS, MODELS, DoesNotFit, Speed, replica_of

SPEED = Speed.of(MODELS["1B"], GPUS["H100"])


async def _timed(engine: Engine, *jobs: list[Prompt]) -> float:
    loop = asyncio.get_running_loop()
    began = loop.time()
    async with asyncio.TaskGroup() as group:
        for job in jobs:
            group.create_task(engine.compute(job))
    return loop.time() - began


def _keys(name: str, blocks: int) -> list[int]:
    return [hash((name, block)) for block in range(blocks)]


def test_a_lone_sample_takes_an_iteration_a_token() -> None:
    taken = clock.run(_timed(Engine(SPEED), [Prompt(100, [50])]))
    by_hand = SPEED.iteration(0, 0, 100)
    by_hand += sum(SPEED.iteration(1, 100 + i) for i in range(1, 50))
    assert taken == pytest.approx(by_hand, rel=0.02)


def test_a_batch_is_far_faster_than_one_by_one() -> None:
    one = clock.run(_timed(Engine(SPEED), [Prompt(100, [50])]))
    many = clock.run(_timed(Engine(SPEED), *[[Prompt(100, [50])] for _ in range(128)]))
    assert many < 128 * one / 40


def test_a_large_batch_reaches_the_throughput_the_bound_is_made_of() -> None:
    engine = Engine(SPEED)
    jobs = [[Prompt(64, [200])] for _ in range(8 * SPEED.max_seqs)]
    taken = clock.run(_timed(engine, *jobs))
    bound = len(jobs) * (200 * SPEED.decode_token(64 + 100) + 64 * SPEED.prompt_token())
    assert 0.95 * bound < taken < 1.15 * bound
    assert engine.counts.generated_tokens == len(jobs) * 200


def test_long_contexts_slow_decoding_down() -> None:
    short = clock.run(_timed(Engine(SPEED), *[[Prompt(100, [50])] for _ in range(64)]))
    long = clock.run(_timed(Engine(SPEED), *[[Prompt(8000, [50])] for _ in range(64)]))
    assert long > 3 * short


def test_a_prefix_that_is_cached_is_not_read_again() -> None:
    async def main() -> tuple[int | None, int | None, int]:
        engine = Engine(SPEED)
        first = Prompt(100, [10], _keys("a", 6))
        second = Prompt(100, [10], _keys("a", 6))
        await engine.compute([first])
        await engine.compute([second])
        return first.cached, second.cached, engine.counts.prompt_tokens

    assert clock.run(main()) == (0, 96, 100 + 4)


def test_what_a_sample_leaves_is_cached_for_its_children() -> None:
    async def main() -> int | None:
        engine = Engine(SPEED)
        await engine.compute([Prompt(96, [32], _keys("a", 6), lambda _: _keys("child", 2))])
        child = Prompt(129, [1], [*_keys("a", 6), *_keys("child", 2)])
        await engine.compute([child])
        return child.cached

    assert clock.run(main()) == 128


def test_siblings_share_their_prompt() -> None:
    engine = Engine(SPEED)
    clock.run(_timed(engine, [Prompt(1600, [10] * 8, _keys("a", 100))]))
    assert engine.counts.prompt_tokens == 1600 + 7 * 16


def test_the_least_recently_used_prefix_is_given_up_first() -> None:
    small = Speed(
        iteration_s=0.002, sequence_s=0.0, weights_s=0.001, token_s=5e-6, kv_s=1e-8, kv_tokens=300
    )

    async def main() -> list[int | None]:
        engine = Engine(small)
        for name in ("a", "b", "a", "c"):
            await engine.compute([Prompt(129, [1], _keys(name, 8))])
        again = [Prompt(129, [1], _keys(name, 8)) for name in ("a", "b")]
        for prompt in again:
            await engine.compute([prompt])
        return [prompt.cached for prompt in again]

    kept, lost = clock.run(main())
    assert kept == 128
    assert lost is not None and lost < 128


def test_a_short_kv_cache_preempts_and_still_finishes_everything() -> None:
    small = Speed(
        iteration_s=0.002, sequence_s=0.0, weights_s=0.001, token_s=5e-6, kv_s=1e-8, kv_tokens=2000
    )
    engine = Engine(small)
    clock.run(_timed(engine, *[[Prompt(64, [400], _keys(str(i), 4))] for i in range(20)]))
    assert engine.counts.preemptions > 0
    assert engine.kv_usage == 0
    assert engine.counts.generated_tokens >= 20 * 400


def test_no_more_sequences_run_than_may() -> None:
    few = Speed(
        iteration_s=0.002, sequence_s=0, weights_s=0.001, token_s=5e-6, kv_s=1e-8,
        kv_tokens=10**6, max_seqs=4,
    )  # fmt: skip

    async def main() -> tuple[int, int]:
        engine = Engine(few)
        tasks = [asyncio.ensure_future(engine.compute([Prompt(32, [100])])) for _ in range(10)]
        await asyncio.sleep(0.1)
        seen = engine.running, engine.waiting
        await asyncio.gather(*tasks)
        return seen

    assert clock.run(main()) == (4, 6)


def test_a_cancelled_request_frees_its_room_at_once() -> None:
    async def main() -> tuple[float, int, float]:
        engine, loop = Engine(SPEED), asyncio.get_running_loop()
        endless = asyncio.ensure_future(engine.compute([Prompt(100, [100_000])]))
        await asyncio.sleep(1)
        endless.cancel()
        await asyncio.sleep(0.1)
        return engine.kv_usage, engine.running, loop.time()

    assert clock.run(main()) == (0, 0, pytest.approx(1.1))


def test_a_replica_that_dies_breaks_what_was_under_way_and_serves_again() -> None:
    async def main() -> None:
        engine = Engine(SPEED)
        lost = asyncio.ensure_future(engine.compute([Prompt(100, [1000])]))
        await asyncio.sleep(0.5)
        engine.die()
        with pytest.raises(ConnectionResetError):
            await lost
        await engine.compute([Prompt(100, [10])])

    clock.run(main())


def test_a_slow_replica_takes_its_factor() -> None:
    slow = Engine(SPEED)
    slow.slowness = 10
    quick = clock.run(_timed(Engine(SPEED), [Prompt(100, [50])]))
    assert clock.run(_timed(slow, [Prompt(100, [50])])) == pytest.approx(10 * quick)


def test_prompts_that_are_only_read_take_what_their_tokens_take() -> None:
    prm = Speed.of(MODELS["7B"], GPUS["H100"])
    engine = Engine(prm, whole_prompts=True)
    taken = clock.run(_timed(engine, *[[Prompt(500, [0]) for _ in range(4)] for _ in range(64)]))
    assert taken == pytest.approx(256 * 500 * prm.token_s, rel=0.15)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("eight H100", "is no fleet"),
        ("8xB999:1B", "no GPU is named 'B999'"),
        ("8xH100:2B", "no model size is named '2B'"),
    ],
)
def test_a_fleet_that_cannot_be_read_says_why(text: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        replica_of(text)


def test_a_model_too_large_for_its_gpus_says_how_many_it_needs() -> None:
    with pytest.raises(DoesNotFit, match="give each replica 4"):
        Speed.of(MODELS["72B"], GPUS["H100"])
