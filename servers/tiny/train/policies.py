"""Train the ladder of policies.

The rule, fixed before any search result was looked at: every rung first masters the groundwork
(single facts, look-up of instructions, whole chains, all without calculating a division) and then
sees the **same** stream of chains with division, token for token. The groundwork ends when a
running accuracy passes a bar, the same for every rung; only the exposure to division is scarce, so
the rungs differ by what their size makes of it.
"""

import json
import math
import random
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from servers.tiny.model import ModelShape, Transformer, load, save
from servers.tiny.problems import LIMIT, MAX_DEPTH, OPERATORS, Operator, draw
from servers.tiny.tokenizer import training_text
from servers.tiny.train.facts import draw_facts
from servers.tiny.train.vocabulary import Vocabulary

GROUNDWORK: tuple[Operator, ...] = ("+", "-", "*")
EXPOSURE_TOKENS = 1_200_000
"""The smallest multiple of 400,000 at which the largest policy answers 85 % of development problems
right, greedily. Chosen on greedy accuracy alone."""
COST = "cost.json"
SEED = 7
EMBEDDING_SCALE = 0.2


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicySize:
    """One policy of the ladder."""

    name: str
    hidden: int
    layers: int
    heads: int

    def shape(self, vocabulary: int) -> ModelShape:
        return ModelShape(
            vocabulary=vocabulary,
            hidden=self.hidden,
            layers=self.layers,
            heads=self.heads,
            intermediate=2 * self.hidden,
        )

    @property
    def groundwork_rate(self) -> float:
        """The groundwork's learning rate: smaller for wider models, by the root of their width."""
        return 0.022 / math.sqrt(self.hidden)

    @property
    def exposure_rate(self) -> float:
        """The exposure's learning rate: smaller for wider models, in proportion."""
        return 0.128 / self.hidden


LADDER = (
    PolicySize(name="policy-160k", hidden=64, layers=2, heads=2),
    PolicySize(name="policy-430k", hidden=128, layers=2, heads=2),
    PolicySize(name="policy-2m", hidden=256, layers=3, heads=4),
)


@dataclass(slots=True)
class Mastery:
    """A running accuracy, ``reached`` once its mean over the last ``span`` passes ``bar``."""

    bar: float
    span: int = 40
    seen: list[float] = field(default_factory=list)

    def add(self, accuracy: float) -> None:
        self.seen.append(accuracy)

    @property
    def mean(self) -> float:
        last = self.seen[-self.span :]
        return sum(last) / max(1, len(last))

    @property
    def reached(self) -> bool:
        return len(self.seen) >= self.span and self.mean >= self.bar


class PolicyTrainer:
    """Takes one rung through the groundwork and the exposure."""

    def __init__(self, rung: PolicySize, tokenizer: Any) -> None:
        self.rung = rung
        self.vocabulary = Vocabulary(tokenizer)
        torch.manual_seed(SEED)
        self.generator = torch.Generator().manual_seed(SEED)
        self.rng = random.Random(SEED)
        self.model = Transformer(rung.shape(len(tokenizer)))
        self._place_numbers_on_a_line()
        self.tokens = 0
        self.started = time.monotonic()
        self.equals = self.vocabulary.token(" =")
        self._new_optimizer(rung.groundwork_rate)

    def _place_numbers_on_a_line(self) -> None:
        """Start number embeddings as randomly projected Fourier features of their value.

        Without it single facts take several times as long to learn.
        """
        generator = torch.Generator().manual_seed(3)
        values = torch.arange(LIMIT).float()
        periods = (2, 4, 5, 10, 20, 25, 40, 50, 100, 200, 400, 800)
        waves = [f(2 * math.pi * values / p) for p in periods for f in (torch.sin, torch.cos)]
        features = torch.stack(waves, 1)
        hidden = self.rung.hidden
        projection = torch.randn(features.shape[1], hidden, generator=generator)
        line = features @ projection / math.sqrt(features.shape[1]) * EMBEDDING_SCALE

        def noise(rows: int) -> Tensor:
            return EMBEDDING_SCALE * torch.randn(rows, hidden, generator=generator)

        embedding = self.model.model.embed_tokens.weight.data
        embedding.copy_(noise(len(embedding)))
        embedding[self.vocabulary.numbers] = line + 0.2 * noise(LIMIT)
        embedding[self.vocabulary.bare_numbers] = line + 0.5 * noise(LIMIT)

    def _new_optimizer(self, rate: float) -> None:
        matrices = [p for p in self.model.parameters() if p.dim() == 2]
        vectors = [p for p in self.model.parameters() if p.dim() < 2]
        self.optimizer = torch.optim.AdamW(
            [{"params": matrices, "weight_decay": 0.1}, {"params": vectors, "weight_decay": 0.0}],
            betas=(0.9, 0.98), fused=True,
        )  # fmt: skip
        self.updates, self.rate = 0, rate

    def _update(self, loss: Tensor, scale: float = 1.0) -> None:
        self.updates += 1
        for group in self.optimizer.param_groups:
            group["lr"] = self.rate * scale * min(1.0, self.updates / 60)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        self.optimizer.step()
        self.optimizer.zero_grad()

    def _say(self, phase: str, text: str) -> None:
        print(
            f"{self.rung.name} {time.monotonic() - self.started:5.0f} s {phase}: {text}", flush=True
        )

    def _fact_loss(self, count: int) -> tuple[Tensor, float]:
        rows = draw_facts(
            {"+": count * 3 // 8, "-": count * 3 // 8, "*": count // 4}, self.generator
        )
        ids = torch.stack(
            [
                self.vocabulary.numbers[rows[:, 0]],
                self.vocabulary.operators[rows[:, 1]],
                self.vocabulary.numbers[rows[:, 2]],
                torch.full((len(rows),), self.equals),
            ],
            1,
        )
        self.tokens += ids.numel()
        logits = self.model.logits(self.model(ids)[:, -1])
        target = self.vocabulary.numbers[rows[:, 3]]
        return F.cross_entropy(logits, target), (logits.argmax(-1) == target).float().mean().item()

    def facts(self, most: int) -> None:
        """Single calculations ``a op b = c``, until mastered."""
        mastery = Mastery(0.98)
        for update in range(most):
            loss, accuracy = self._fact_loss(256)
            self._update(loss, 1 - 0.7 * update / most)
            mastery.add(accuracy)
            if update % 100 == 0:
                self._say("facts", f"update {update} accuracy {mastery.mean:.3f}")
            if mastery.reached:
                break
        self._say("facts", f"ended after {update + 1} updates at {mastery.mean:.3f}")

    def lookup(self, most: int) -> None:
        """Lists of labelled instructions and then their repetition; longer lists as it succeeds."""
        words = {w: self.vocabulary.token(w) for w in (",", "Step", ":")}
        longest, mastery = 2, Mastery(0.85)
        for update in range(most):
            count = self.rng.randint(2, longest)
            rows = max(4, 200 // count)
            label = torch.arange(count).expand(rows, count)
            draw_like = (rows, count)
            operator = self.vocabulary.operators[
                torch.randint(0, len(OPERATORS), draw_like, generator=self.generator)
            ]
            number = self.vocabulary.numbers[
                torch.randint(1, LIMIT, draw_like, generator=self.generator)
            ]
            name = self.vocabulary.labels[label]
            fill = {word: torch.full(draw_like, token) for word, token in words.items()}
            listed = torch.stack([name, operator, number, fill[","]], 2).reshape(rows, -1)
            said = torch.stack([fill["Step"], name, operator, number, fill[":"]], 2).reshape(
                rows, -1
            )
            ids = torch.cat((listed, said), 1)
            begin = listed.shape[1]
            asked = torch.cat(
                [
                    torch.arange(begin + 1, begin + 5 * count, 5),
                    torch.arange(begin + 2, begin + 5 * count, 5),
                ]
            )
            logits = self.model.logits(self.model(ids)[:, asked])
            target = ids[:, asked + 1]
            loss = F.cross_entropy(logits.flatten(0, 1), target.flatten())
            fact_loss, _ = self._fact_loss(64)
            self._update(loss + 0.5 * fact_loss, 1 - 0.7 * update / most)
            self.tokens += ids.numel()
            mastery.add((logits.argmax(-1) == target).float().mean().item())
            if update % 100 == 0:
                self._say("lookup", f"update {update} up to {longest}, accuracy {mastery.mean:.3f}")
            if mastery.reached:
                if longest == MAX_DEPTH:
                    break
                longest += 1
                mastery = Mastery(0.85 if longest < MAX_DEPTH else 0.9)
        self._say(
            "lookup", f"ended after {update + 1} updates up to {longest} at {mastery.mean:.3f}"
        )

    def _chain_batches(
        self, rng: random.Random, operators: tuple[Operator, ...]
    ) -> Iterator[tuple[Tensor, int]]:
        """Batches ``(ids, where the solution begins)`` of chains of one depth each."""
        while True:
            depth = rng.randint(1, MAX_DEPTH)
            chains = [
                draw(rng, depth, "train", operators) for _ in range(max(6, 96 // (depth + 2)))
            ]
            texts = [training_text(c.question, c.solution) for c in chains]
            ids = torch.tensor(self.vocabulary.encode(texts))
            # the prompt's last three tokens: <|im_start|> assistant \n
            start = self.vocabulary.tokenizer.convert_tokens_to_ids("<|im_start|>")
            yield ids, int((ids[0] == start).nonzero()[-1]) + 3

    def _chain_loss(self, ids: Tensor, begin: int) -> tuple[Tensor, float]:
        logits = self.model.logits(self.model(ids[:, :-1])[:, begin - 1 :])
        target = ids[:, begin:]
        right = logits.argmax(-1) == target
        self.tokens += ids.numel()
        loss = F.cross_entropy(logits.flatten(0, 1), target.flatten())
        return loss, right.all(1).float().mean().item()

    def chains(self, most: int) -> None:
        """Whole problems without division, until nine in ten are right from end to end."""
        mastery = Mastery(0.9, span=80)
        for update, (ids, begin) in zip(
            range(most), self._chain_batches(self.rng, GROUNDWORK), strict=False
        ):
            loss, accuracy = self._chain_loss(ids, begin)
            self._update(loss, 0.7 - 0.6 * update / most)
            mastery.add(accuracy)
            if update % 100 == 0:
                self._say("chains", f"update {update} whole chains right {mastery.mean:.3f}")
            if mastery.reached:
                break
        self._say("chains", f"ended after {update + 1} updates at {mastery.mean:.3f}")

    def exposure(self, tokens: int) -> None:
        """The same seeded stream of whole problems with division for every rung."""
        self._new_optimizer(self.rung.exposure_rate)
        seen, mastery = 0, Mastery(1.0, span=80)
        for update, (ids, begin) in enumerate(
            self._chain_batches(random.Random(SEED + 1), OPERATORS)
        ):
            done = seen / tokens
            loss, accuracy = self._chain_loss(ids, begin)
            self._update(loss, 1 if done < 0.3 else max(0.02, 1 - (done - 0.3) / 0.7))
            mastery.add(accuracy)
            seen += ids.numel()
            if update % 100 == 0:
                self._say("exposure", f"{seen / 1e3:.0f}k tokens, chains right {mastery.mean:.3f}")
            if seen >= tokens:
                break
        self._say("exposure", f"ended after {seen} tokens at {mastery.mean:.3f}")

    def groundwork(self) -> None:
        """Until mastered, or so many updates."""
        self.facts(3000)
        self.lookup(2500)
        self.chains(3500)


def train_policy(rung: PolicySize, tokenizer: Any, models: Path, scratch: Path) -> None:
    """Train one rung and write its folder; its groundwork is kept in ``scratch`` for a re-run."""
    base = scratch / f"{rung.name}-groundwork"
    if not (base / COST).exists():
        cpu, trainer = time.process_time(), PolicyTrainer(rung, tokenizer)
        trainer.groundwork()
        save(trainer.model, tokenizer, base)
        spent = {"tokens": trainer.tokens, "cpu_seconds": round(time.process_time() - cpu)}
        (base / COST).write_text(json.dumps(spent))
    cpu, trainer = time.process_time(), PolicyTrainer(rung, tokenizer)
    trainer.model = load(base).train()
    trainer.exposure(EXPOSURE_TOKENS)
    save(trainer.model, tokenizer, models / rung.name)
    before = json.loads((base / COST).read_text())
    report = {
        "parameters": trainer.model.parameter_count,
        "tokens": before["tokens"] + trainer.tokens,
        "exposure_tokens": EXPOSURE_TOKENS,
        "seed": SEED,
        "cpu_seconds": before["cpu_seconds"] + round(time.process_time() - cpu),
    }
    (models / rung.name / "training.json").write_text(json.dumps(report, indent=2) + "\n")
