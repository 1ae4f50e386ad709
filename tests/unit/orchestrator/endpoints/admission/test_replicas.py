from collections import Counter

from orchestrator.endpoints.admission.circuit_breaker import IN_A_ROW
from orchestrator.endpoints.admission.replicas import Replica, Replicas

BASES = ["http://a", "http://b", "http://c", "http://d"]
QUESTIONS = [f"question {i}" for i in range(400)]


def home(replicas: Replicas, question: str) -> str:
    replica = replicas.choose(question, 0.0)
    assert replica is not None
    return replica.base


def kill(replica: Replica) -> None:
    for _ in range(IN_A_ROW):
        replica.breaker.failed(0.0)


def test_a_question_stays_with_one_replica_and_questions_spread_over_all() -> None:
    replicas = Replicas(BASES)
    homes = [home(replicas, question) for question in QUESTIONS]
    assert homes == [home(replicas, question) for question in QUESTIONS]
    assert all(70 < count < 130 for count in Counter(homes).values())


def test_a_replica_more_or_less_moves_no_other_question() -> None:
    replicas = Replicas(BASES)
    before = {question: home(replicas, question) for question in QUESTIONS}
    replicas.put(BASES[:3])
    without = {question: home(replicas, question) for question in QUESTIONS}
    assert all(without[q] == base for q, base in before.items() if base != "http://d")
    fresh = Replicas([*BASES, "http://e"])
    moved = [q for q in QUESTIONS if home(fresh, q) != before[q]]
    assert 40 < len(moved) < 120 and all(home(fresh, q) == "http://e" for q in moved)


def test_those_that_stay_keep_what_is_known_of_them_and_the_others_are_returned() -> None:
    replicas = Replicas(BASES[:2])
    first, second = replicas
    first.in_flight = 7
    assert replicas.put(["http://a", "http://c", "http://a"]) == [second]
    assert [each.base for each in replicas] == ["http://a", "http://c"]
    assert next(iter(replicas)) is first


def test_an_overloaded_replica_hands_a_tree_on_as_a_whole() -> None:
    replicas = Replicas(BASES)
    first = replicas.choose("q", 0.0)
    assert first is not None
    first.in_flight = 100
    second = replicas.choose("q", 0.0)
    assert second is not None and second is not first
    first.in_flight = 0
    assert replicas.choose("q", 0.0) is second


def test_no_replica_begins_far_more_than_its_share() -> None:
    replicas = Replicas(BASES)
    for _ in range(2_000):
        chosen = replicas.choose("always the same", 0.0)
        assert chosen is not None
        chosen.in_flight += 1
    loads = [each.load for each in replicas]
    assert sum(loads) == 2_000 and max(loads) < 2.1 * 500


def test_where_a_request_failed_it_does_not_go_again_while_there_are_others() -> None:
    replicas = Replicas(BASES[:3])
    tried: tuple[Replica, ...] = ()
    for _ in range(3):
        chosen = replicas.choose("q", 0.0, tried)
        assert chosen is not None and chosen not in tried
        tried = (*tried, chosen)
    assert replicas.choose("q", 0.0, tried) in tried


def test_open_and_paused_replicas_are_left_out() -> None:
    replicas = Replicas(BASES[:3])
    first, second, third = replicas
    kill(first)
    second.paused_until = 10.0
    assert {home(replicas, question) for question in QUESTIONS} == {third.base}
    kill(third)
    assert replicas.choose("q", 0.0) is None
    assert replicas.choose("q", 10.0) is second


def test_a_half_open_replica_takes_one_request() -> None:
    (only,) = replicas = Replicas(BASES[:1])
    kill(only)
    only.breaker.on_health_check(True, 1.0)
    assert replicas.choose("q", 1.0) is only
    only.breaker.is_tried = True
    assert replicas.choose("q", 1.0) is None


def test_a_slow_replica_gets_little_until_it_is_slow_no_longer() -> None:
    replicas = Replicas(BASES)
    slow, *others = replicas
    for _ in range(20):
        slow.record_latency(10.0, 1.0)
        for each in others:
            each.record_latency(1.0, 1.0)
    replicas.weigh()
    assert [each.share for each in replicas] == [0.1, 1.0, 1.0, 1.0]
    for question in QUESTIONS:
        chosen = replicas.choose(question, 0.0)
        assert chosen is not None
        chosen.in_flight += 1
    assert 0 < slow.in_flight < 40
    for _ in range(20):
        slow.record_latency(1.0, 1.0)
    replicas.weigh()
    assert slow.share == 1.0


def test_a_replica_alone_is_never_slow() -> None:
    (only,) = replicas = Replicas(BASES[:1])
    for seconds in (*[1.0] * 20, *[50.0] * 20):
        only.record_latency(seconds, 1.0)
    replicas.weigh()
    assert only.share == 1.0
