from servers.fleet.restarts import Timing


def test_delays_double_up_to_the_longest() -> None:
    timing = Timing(first_delay=1.0, longest_delay=60.0)
    assert [timing.delay(n) for n in range(1, 9)] == [1, 2, 4, 8, 16, 32, 60, 60]
    assert timing.delay(10_000) == 60
