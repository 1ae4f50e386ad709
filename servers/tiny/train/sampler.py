"""Solutions of a trained policy, many at once: for its greedy accuracy and the PRMs' data."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from servers.tiny.problems import Chain, whole_chain_right
from servers.tiny.runtime import MIN_ROWS, Runtime
from servers.tiny.tokenizer import prompt_text

ROWS = 128
LONGEST = 16  # tokens a step takes, with room


@torch.inference_mode()
def sample(
    runtime: Runtime,
    tokenizer: Any,
    chains: Sequence[Chain],
    *,
    n: int = 1,
    temperature: float = 0.0,
    seed: int = 0,
) -> list[list[str]]:
    """``n`` solutions of each problem, as text; ``temperature`` 0 is greedy."""
    generator = torch.Generator().manual_seed(seed)
    order = sorted(range(len(chains)), key=lambda i: chains[i].depth)
    solutions: list[list[str]] = [[] for _ in chains]
    per_batch = max(MIN_ROWS, ROWS // n)
    for begin in range(0, len(order), per_batch):
        batch = order[begin : begin + per_batch]
        drawn = _batch(runtime, tokenizer, [chains[i] for i in batch], n, temperature, generator)
        for position, i in enumerate(batch):
            solutions[i] = drawn[position * n : (position + 1) * n]
    return solutions


def _batch(
    runtime: Runtime,
    tokenizer: Any,
    chains: Sequence[Chain],
    n: int,
    temperature: float,
    generator: torch.Generator,
) -> list[str]:
    prompts = tokenizer([prompt_text(c.question) for c in chains], add_special_tokens=False)
    lengths = torch.tensor([len(ids) for ids in prompts["input_ids"]])
    ids = torch.zeros(len(chains), int(lengths.max()), dtype=torch.long)
    for row, prompt in enumerate(prompts["input_ids"]):
        ids[row, : len(prompt)] = torch.tensor(prompt)
    most = LONGEST * (max(c.depth for c in chains) + 2)
    rows = max(MIN_ROWS, len(chains) * n)
    store = runtime.empty_store(rows, ids.shape[1] + most)
    hidden = runtime.prefill(store, 0, ids, torch.zeros(len(chains), dtype=torch.long))
    hidden = hidden[torch.arange(len(chains)), lengths - 1]
    spread = torch.arange(rows).div(n, rounding_mode="floor").clamp(max=len(chains) - 1)
    store, hidden, lengths = store[:, spread].contiguous(), hidden[spread], lengths[spread]
    done, written = torch.zeros(rows, dtype=torch.bool), []
    for _ in range(most):
        logits = hidden @ runtime.unembedding
        chosen = _choose(logits, temperature, generator)
        chosen[done] = tokenizer.pad_token_id
        written.append(chosen)
        done |= chosen == tokenizer.eos_token_id
        if bool(done.all()):
            break
        hidden = runtime.decode(store, chosen, lengths, int(lengths.max()))
        lengths = lengths + 1
    texts: list[str] = tokenizer.batch_decode(torch.stack(written, 1), skip_special_tokens=True)
    return texts[: len(chains) * n]


def _choose(logits: Tensor, temperature: float, generator: torch.Generator) -> Tensor:
    if temperature == 0:
        return logits.argmax(-1)
    probabilities = (logits / temperature).softmax(-1)
    return torch.multinomial(probabilities, 1, generator=generator)[:, 0]


def greedy_accuracy(runtime: Runtime, tokenizer: Any, chains: Sequence[Chain]) -> dict[str, float]:
    """Share of problems answered right, and of whole chains right, by greedy decoding."""
    texts = [one for (one,) in sample(runtime, tokenizer, chains)]
    answered = [f"\\boxed{{{c.answer}}}" in text for c, text in zip(chains, texts, strict=True)]
    sound = [whole_chain_right(c, text) for c, text in zip(chains, texts, strict=True)]
    return {"answer": sum(answered) / len(chains), "chain": sum(sound) / len(chains)}
