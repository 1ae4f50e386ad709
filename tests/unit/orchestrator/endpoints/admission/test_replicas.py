from collections import Counter

import pytest

from orchestrator.endpoints.admission.adaptive_limit import AdaptiveLimit
from orchestrator.endpoints.admission.circuit_breaker import IN_A_ROW
from orchestrator.endpoints.admission.fair_queue import Ticket
from orchestrator.endpoints.admission.replicas import Replica, Replicas
from orchestrator.endpoints.admission.vllm_metrics import ServerLoad

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


def first_of(replicas: Replicas, base: str) -> str:
    """A question that begins at the replica of this base while nothing is under way."""
    return next(q for q in QUESTIONS if home(replicas, q) == base)


def test_its_pace_is_smoothed_and_an_answer_ends_its_doubts() -> None:
    replica = Replica("http://a", doubts=3)
    replica.record_latency(1.0, 2.0)
    assert (replica.pace, replica.answers, replica.doubts) == (0.5, 1, 0)
    replica.record_latency(2.0, 2.0)
    assert (replica.pace, replica.answers) == (0.6, 2)


def test_its_load_is_what_is_under_way_and_what_waits_and_it_has_room_below_its_limit() -> None:
    replica = Replica("http://a", in_flight=31)
    assert replica.has_room
    replica.in_flight = 32
    assert (replica.has_room, replica.load) == (False, 32)
    replica.queue.push(Ticket(None, None, (), granted=None))  # type: ignore[arg-type]
    assert replica.load == 33


def test_a_pause_ends_at_its_time() -> None:
    replica = Replica("http://a", paused_until=10.0)
    assert not replica.takes_requests(9.9)
    assert replica.takes_requests(10.0)


def test_load_that_is_not_told_is_asked_for_ever_more_rarely_up_to_a_minute() -> None:
    replica, due = Replica("http://a"), []
    for _ in range(8):
        replica.observe_silence(100.0)
        due.append(replica.load_due - 100.0)
    assert due == [1, 2, 4, 8, 16, 32, 60, 60]
    assert replica.tells_load
    load = ServerLoad(running=1, waiting=0, kv_cache_usage=0.0, preemptions=0)
    replica.observe_load(load, 0.0)
    assert replica.load_told is load
    replica.observe_silence(100.0, is_another=True)
    assert (replica.load_due, replica.tells_load) == (101.0, True)
    another = Replica("http://b")
    another.observe_silence(0.0, is_another=True)
    assert not another.tells_load


@pytest.mark.parametrize(
    ("load", "limit", "stays"), [(16, 32, True), (17, 32, False), (11, 11, True), (12, 12, False)]
)
def test_a_tree_stays_up_to_twice_its_replicas_share_or_a_quarter_more_without_room(
    load: int, limit: int, stays: bool
) -> None:
    replicas = Replicas(BASES)
    question = first_of(replicas, "http://b")
    b = list(replicas)[1]
    b.in_flight, b.limit = load, AdaptiveLimit(limit=float(limit))
    assert (replicas.choose(question, 0.0) is b) is stays


def test_seven_requests_overload_no_replica() -> None:
    replicas = Replicas(BASES)
    question = first_of(replicas, "http://b")
    b = list(replicas)[1]
    b.in_flight, b.limit = 7, AdaptiveLimit(limit=1.0)
    assert replicas.choose(question, 0.0) is b


@pytest.mark.parametrize(("load", "begins"), [(11, True), (12, False)])
def test_a_tree_begins_where_no_more_than_a_quarter_above_the_share_is_under_way(
    load: int, begins: bool
) -> None:
    replicas = Replicas(BASES)
    question = first_of(replicas, "http://b")
    replicas.put(["http://a", "http://c", "http://d"])  # forgets where it was
    replicas.put(BASES)
    b = next(each for each in replicas if each.base == "http://b")
    b.in_flight = load
    assert (replicas.choose(question, 0.0) is b) is begins


@pytest.mark.parametrize(("load", "stays"), [(1, True), (2, False)])
def test_of_a_slow_replicas_share_a_part_is_usual(load: int, stays: bool) -> None:
    replicas = Replicas(BASES)
    question = first_of(replicas, "http://b")
    b = list(replicas)[1]
    b.share, b.in_flight = 0.5, load
    assert (replicas.choose(question, 0.0) is b) is stays


def test_where_all_that_are_left_are_overloaded_the_least_for_its_share_is_chosen() -> None:
    replicas = Replicas(BASES[:3])
    tried, usual, slow = replicas
    usual.in_flight, slow.in_flight, slow.share = 200, 150, 0.5
    for question in QUESTIONS[:20]:
        assert replicas.choose(question, 0.0, (tried,)) is usual
    slow.share = 1.0
    usual.in_flight = 149
    for question in QUESTIONS[:20]:
        assert replicas.choose(question, 0.0, (tried,)) is usual


@pytest.mark.parametrize(
    ("answers", "pace", "share"),
    [(8, 3.0, 1.0), (8, 4.0, 0.25), (7, 4.0, 1.0), (8, 1000.0, 0.02)],
)
def test_a_replica_more_than_three_times_slower_than_the_others_gets_as_much_less(
    answers: int, pace: float, share: float
) -> None:
    replicas = Replicas(BASES[:3])
    slow, *others = replicas
    slow.answers, slow.pace = answers, pace
    for other in others:
        other.answers, other.pace = 8, 1.0
    replicas.weigh()
    assert [each.share for each in replicas] == [share, 1.0, 1.0]
