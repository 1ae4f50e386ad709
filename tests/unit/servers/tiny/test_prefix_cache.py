"""Blocks of keys and values, found by what came before them."""

import torch

from servers.tiny.prefix_cache import BLOCK, PrefixCache

WIDTH = 6
TOKEN_BYTES = 2 * WIDTH * 4


def cache_of(blocks: int) -> PrefixCache:
    return PrefixCache(layers=2, width=WIDTH, budget=blocks * BLOCK * TOKEN_BYTES)


def keys_of(ids: list[int]) -> torch.Tensor:
    """Recognisable keys and values: the token's id, negative in the second layer."""
    one = torch.tensor(ids).float()[:, None].expand(-1, WIDTH)
    return torch.stack((one, -one))


def test_a_cached_prefix_is_loaded_as_it_was_stored() -> None:
    cache, path = cache_of(10), list(range(3 * BLOCK + 2))
    cache.add(path, keys_of(path))
    match = cache.match([*path, 99])
    assert match.length == 3 * BLOCK
    store = torch.zeros(2, 2, 40, WIDTH)
    cache.load([match], store, 1)
    assert torch.equal(store[:, 1, : 3 * BLOCK], keys_of(path)[:, : 3 * BLOCK])
    assert not store[:, 0].any()


def test_at_least_the_last_token_is_left_to_compute() -> None:
    cache, path = cache_of(10), list(range(2 * BLOCK))
    cache.add(path, keys_of(path))
    assert cache.match(path).length == BLOCK
    assert cache.match([*path, 1]).length == 2 * BLOCK


def test_paths_share_the_blocks_of_their_common_beginning() -> None:
    cache, stem = cache_of(4), list(range(2 * BLOCK))
    for branch in (100, 200):
        path = [*stem, *range(branch, branch + BLOCK)]
        cache.add(path, keys_of(path))
    assert cache.usage == 1.0
    for branch in (100, 200):
        path = [*stem, *range(branch, branch + BLOCK), 0]
        store = torch.zeros(2, 1, 40, WIDTH)
        cache.load([cache.match(path)], store, 0)
        assert torch.equal(store[:, 0, : 3 * BLOCK], keys_of(path)[:, : 3 * BLOCK])


def test_the_same_tokens_after_another_beginning_do_not_match() -> None:
    cache = cache_of(10)
    first, second = [1] * BLOCK + [5] * BLOCK, [2] * BLOCK + [6] * BLOCK
    cache.add(first, keys_of(first))
    cache.add(second, keys_of(second))
    assert cache.match([2] * BLOCK + [5] * BLOCK + [0]).length == BLOCK


def test_the_least_recently_used_leaf_goes_first() -> None:
    cache = cache_of(3)
    old, used, new = ([start] * BLOCK for start in (1, 2, 3))
    long = [*used, *used]
    cache.add(old, keys_of(old))
    cache.add(long, keys_of(long))
    cache.match([*long, 0])
    cache.add(new, keys_of(new))
    assert cache.match([*old, 0]).length == 0
    assert cache.match([*long, 0]).length == 2 * BLOCK
    cache.add(old, keys_of(old))
    cache.add([7] * BLOCK, keys_of([7] * BLOCK))
    assert cache.match([*long, 0]).length <= BLOCK


def test_step_scores_come_back_with_their_blocks() -> None:
    cache, path = cache_of(10), list(range(2 * BLOCK))
    cache.add(path, keys_of(path), [(3, (0.1, 0.9)), (BLOCK, (0.2, 0.8)), (99, (0.3, 0.7))])
    assert cache.match([*path, 0]).scores == [(0.1, 0.9), (0.2, 0.8)]
    assert cache.match(path).scores == [(0.1, 0.9)]


def test_a_budget_of_nothing_caches_nothing() -> None:
    cache, path = cache_of(0), list(range(2 * BLOCK))
    cache.add(path, keys_of(path))
    assert cache.match([*path, 0]).length == 0
    assert cache.usage == 0.0
