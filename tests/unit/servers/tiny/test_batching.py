from servers.tiny.batching import plan


def test_every_sequence_is_in_exactly_one_batch_the_shortest_first() -> None:
    batches = plan([50, 3, 7, 51, 200], tokens=1000)
    assert batches == [[1, 2], [0, 3], [4]]


def test_a_batch_holds_its_tokens_with_padding() -> None:
    assert plan([10, 10, 10], tokens=20) == [[0, 1], [2]]


def test_a_sequence_longer_than_the_limit_goes_alone() -> None:
    assert plan([30, 30], tokens=20) == [[0], [1]]


def test_nothing_makes_no_batch() -> None:
    assert plan([], tokens=20) == []
