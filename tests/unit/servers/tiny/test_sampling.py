"""Noise and what is made of it."""

import numpy as np
import torch

from servers.tiny.sampling import nucleus, row_keys, sample, uniforms


def draw(logits: torch.Tensor, temperature: float, noise: torch.Tensor) -> torch.Tensor:
    rows = len(noise)
    return sample(
        logits.expand(rows, -1), torch.full((rows,), temperature), noise, top_p=None, greedy=False
    )


def test_noise_is_uniform_and_uncorrelated() -> None:
    noise = uniforms(row_keys([5] * 200, [(0, i) for i in range(200)]), 500).numpy()
    assert noise.min() >= 0
    assert noise.max() < 1
    counts = np.histogram(noise, bins=20, range=(0, 1))[0]
    expected = noise.size / 20
    assert ((counts - expected) ** 2 / expected).sum() < 45  # chi-square, 19 degrees, p < .001
    assert abs(np.corrcoef(noise[:-1].ravel(), noise[1:].ravel())[0, 1]) < 0.02
    assert abs(np.corrcoef(noise[:, :-1].ravel(), noise[:, 1:].ravel())[0, 1]) < 0.02


def test_noise_belongs_to_seed_prompt_choice_and_position_alone() -> None:
    places = [(0, 0), (0, 1), (1, 0)]
    together = uniforms(row_keys([7, 7, 7], places), 40)
    for row, place in enumerate(places):
        assert torch.equal(uniforms(row_keys([7], [place]), 10)[0], together[row, :10])
    other_seeds = uniforms(row_keys([-7, 2**63 - 1, 8], places), 40)
    everything = torch.cat((together, other_seeds)).flatten()
    assert len(everything.unique()) == everything.numel()


def test_samples_follow_the_softmax_at_their_temperature() -> None:
    logits = torch.tensor([[2.0, 1.0, 0.0, -1.0, 1.5]])
    noise = uniforms(row_keys([3], [(0, 0)]), 20_000)[0]
    for temperature in (0.5, 1.0, 2.0):
        counts = torch.bincount(draw(logits, temperature, noise), minlength=5)
        expected = (logits[0] / temperature).softmax(-1) * len(noise)
        assert ((counts - expected) ** 2 / expected).sum() < 18.5  # chi-square, 4 degrees


def test_an_impossible_token_is_never_drawn() -> None:
    logits = torch.tensor([[-torch.inf, 0.0, -torch.inf, 0.0, -torch.inf]])
    edges = torch.tensor([0.0, 2**-23, 0.5 - 2**-23, 0.5, 1 - 2**-23])
    assert draw(logits, 1.0, edges).tolist() == [1, 1, 1, 3, 3]


def test_temperature_zero_takes_the_likeliest_token_beside_sampled_rows() -> None:
    logits = torch.tensor([[0.0, 1.0, 0.0], [0.0, 0.0, 0.0]])
    ids = sample(
        logits, torch.tensor([0.0, 1.0]), torch.tensor([0.0, 0.99]), top_p=None, greedy=True
    )
    assert ids.tolist() == [1, 2]


def test_top_p_keeps_the_fewest_tokens_that_reach_it() -> None:
    chances = torch.tensor([[0.1, 0.5, 0.15, 0.25]]).expand(3, -1)
    kept = nucleus(chances, torch.tensor([0.5, 0.7, 1.0])) > 0
    assert kept.tolist() == [
        [False, True, False, False],
        [False, True, False, True],
        [True, True, True, True],
    ]
