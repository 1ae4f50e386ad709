"""Who gets the next batch."""

import asyncio

import pytest

from orchestrator.core.fanout import fan_out
from orchestrator.optimal.shared_budget.caps import MARGIN, Amount, Cap, Seconds
from orchestrator.optimal.shared_budget.pool import Pool
from servers.simulated import clock


async def play(
    pool: Pool,
    gains: dict[int, list[float]],
    *,
    uses: float = 10.0,
    expected: float = 10.0,
    unsure: frozenset[int] = frozenset(),
) -> list[int]:
    """Problems that would gain so much with each batch, and surely but those that are ``unsure``;
    the numbers of those that got one."""
    given: list[int] = []

    async def problem(number: int) -> None:
        used = 10.0
        for drawn, gain in enumerate(gains[number]):
            sure = number not in unsure
            if not await pool.turn(
                number, used=used, sure=sure, gains=gain, expected=expected, drawn=drawn
            ):
                used = 0.0
                break
            given.append(number)
            await asyncio.sleep(1)
            used = uses
        pool.finish(number, used)

    await fan_out(problem(number) for number in gains)
    return given


async def asks(pool: Pool, number: int) -> bool:
    return await pool.turn(number, used=10.0, sure=True, gains=1.0, expected=10.0, drawn=4)


def opened(cap: Cap, problems: int, width: int = 1, used: float = 0.0) -> Pool:
    pool = Pool(cap)
    pool.open(problems, width, used)
    return pool


GAINS = {1: [0.3, 0.2, 0.1], 2: [0.9, 0.8, 0.05], 3: [0.5, 0.0, 0.0]}


def test_the_next_batch_goes_to_where_it_gains_most() -> None:
    async def main() -> list[int]:
        return await play(opened(Amount(1000.0), 3), GAINS)

    assert clock.run(main()) == [2, 2, 3, 1, 1, 1, 2, 3, 3]


def test_who_may_gain_waits_for_those_that_are_sure_to() -> None:
    async def main() -> list[int]:
        return await play(opened(Amount(1000.0), 3), GAINS, unsure=frozenset({2}))

    assert clock.run(main()) == [3, 1, 1, 1, 3, 3, 2, 2, 2]


def test_of_equals_the_one_with_the_fewest_solutions_is_first() -> None:
    async def main() -> list[int]:
        return await play(opened(Amount(1000.0), 2), {1: [0.5, 0.5], 2: [0.5, 0.5]})

    assert clock.run(main()) == [1, 2, 1, 2]


@pytest.mark.parametrize("width", [1, 2, 8])
@pytest.mark.parametrize("cap", [30.0, 75.0, 1e4])
def test_the_cap_is_kept_and_what_is_left_is_less_than_a_batch_may_take(
    cap: float, width: int
) -> None:
    async def main() -> list[int]:
        return await play(opened(Amount(cap), 3, width), {i: [0.5] * 9 for i in range(3)})

    used = 10.0 * (3 + len(clock.run(main())))
    assert used <= cap
    assert used == 300.0 or cap - used < MARGIN * 10.0


def test_batches_that_use_more_than_expected_leave_less_for_others() -> None:
    async def given(uses: float) -> int:
        pool = opened(Amount(300.0), 3, 2)
        return len(await play(pool, {i: [0.5] * 9 for i in range(3)}, uses=uses))

    assert clock.run(given(30.0)) < clock.run(given(10.0)) < clock.run(given(5.0))


def test_nothing_is_handed_out_before_all_have_their_pilots() -> None:
    async def main() -> None:
        pool = opened(Amount(1000.0), 2)
        turn = asyncio.ensure_future(asks(pool, 1))
        await asyncio.sleep(60)
        assert not turn.done()
        pool.all_started()  # a run that ends early begins no second one
        assert await turn

    clock.run(main())


def test_what_was_used_before_is_off_the_cap() -> None:
    async def main(used: float) -> int:
        return len(await play(opened(Amount(200.0), 1, used=used), {1: [0.5] * 30}))

    assert clock.run(main(100.0)) == clock.run(main(0.0)) - 10


def test_who_gives_up_waiting_holds_nobody_up() -> None:
    async def main() -> None:
        pool = opened(Amount(1000.0), 2)
        impatient = asyncio.ensure_future(asks(pool, 1))
        await asyncio.sleep(1)
        impatient.cancel()
        await asyncio.wait([impatient])
        assert await asks(pool, 2)

    clock.run(main())


def test_seconds_are_the_clocks_whatever_is_under_way() -> None:
    async def main(width: int) -> tuple[int, float]:
        loop = asyncio.get_running_loop()
        pool, began = opened(Seconds(10.0), 4, width), loop.time()
        given = await play(pool, {i: [0.5] * 99 for i in range(4)}, expected=1.0)
        return len(given), loop.time() - began

    one, four = clock.run(main(1)), clock.run(main(4))
    assert one == (9, pytest.approx(9.0))
    assert four == (36, pytest.approx(9.0))
