from orchestrator.endpoints.admission.circuit_breaker import IN_A_ROW, Breaker


def opened(now: float = 0.0) -> Breaker:
    breaker = Breaker()
    for _ in range(IN_A_ROW):
        breaker.failed(now)
    return breaker


def test_it_opens_after_failures_in_a_row_and_says_so_once() -> None:
    breaker = Breaker()
    assert [breaker.failed(0.0) for _ in range(IN_A_ROW + 2)].index(True) == IN_A_ROW - 1
    assert breaker.state == "open"
    assert not breaker.failed(0.0)


def test_accidents_between_successes_do_not_open_it() -> None:
    breaker = Breaker()
    for _ in range(100):
        for _ in range(IN_A_ROW - 1):
            breaker.failed(0.0)
        breaker.succeeded()
    assert breaker.state == "closed"


def test_one_that_is_healthy_again_is_half_open_until_a_request_tells() -> None:
    for tells, state in ((True, "closed"), (False, "open")):
        breaker = opened()
        breaker.on_health_check(True, 1.0)
        assert breaker.state == "half-open"
        if tells:
            breaker.succeeded()
        else:
            assert breaker.failed(2.0)
        assert breaker.state == state


def test_it_is_looked_at_less_and_less_often_while_it_stays_away() -> None:
    breaker, waits, now = opened(), [], 0.0
    for _ in range(7):
        waits.append(breaker.look_at - now)
        now = breaker.look_at
        breaker.on_health_check(False, now)
    assert waits == [0.5, 1.0, 2.0, 4.0, 8.0, 8.0, 8.0]
    breaker.succeeded()
    for _ in range(IN_A_ROW):
        breaker.failed(100.0)
    assert breaker.look_at == 100.5


def test_the_fifth_failure_in_a_row_opens_it_and_a_certain_one_at_once() -> None:
    breaker = Breaker()
    assert [breaker.failed(0.0) for _ in range(5)] == [False, False, False, False, True]
    assert Breaker().failed(0.0, is_certain=True)
    assert not breaker.failed(0.0, is_certain=True)


def test_a_success_closes_it_and_forgets_the_failures() -> None:
    breaker = opened()
    assert (breaker.failures, breaker.look_at) == (5, 0.5)
    breaker.on_health_check(True, 3.0)
    breaker.succeeded()
    assert (breaker.failures, breaker.state) == (0, "closed")
    assert [breaker.failed(9.0) for _ in range(5)][-1]
    assert breaker.look_at == 9.5


def test_a_half_open_one_opens_for_longer_each_time() -> None:
    breaker = opened()
    breaker.on_health_check(True, 1.0)
    assert breaker.failed(2.0)
    assert breaker.look_at == 3.0
