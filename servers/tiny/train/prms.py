"""Train the process reward models.

Each judges a step by itself, given the values stated before it; a path's value is then the running
minimum of its steps (the model cards say so). They differ on purpose: ``prm-qwen`` learns from the
errors the policies really make and, as an auxiliary task, predicts each step's right result;
``prm-shepherd`` only ever sees made-up errors, and misses many of the real ones.
"""

import json
import random
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor
from torch.nn import functional as F

from servers.tiny.model import ModelShape, Transformer, load, save
from servers.tiny.problems import MAX_DEPTH, OPERATORS
from servers.tiny.runtime import Runtime
from servers.tiny.tokenizer import END, QWEN_TAG, SHEPHERD_TAG, START, list_words
from servers.tiny.train.facts import draw_facts
from servers.tiny.train.traces import NO_TARGET, ErrorModel, Trace, corrupted, sampled
from servers.tiny.train.vocabulary import Vocabulary

BATCH = 12
AUXILIARY = 0.5
"""Weight of predicting the right result at each tag."""
JUDGED = ("policy-160k", "policy-430k")
"""The policies whose steps the PRMs are made to judge."""
FACTS_UNTIL, WINDOW_UNTIL = 0.28, 0.65
"""Shares of training: single facts first, then chains under an attention window that opens."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """One PRM. ``start`` is the policy, or its groundwork, whose trunk it begins with."""

    name: str
    layout: Literal["qwen_math", "math_shepherd"]
    start: str
    extra_layers: int
    updates: int
    on_policy: bool
    seed: int
    learning_rate: float = 1.5e-3

    def text(self, question: str, steps: Sequence[str]) -> str:
        """What the PRM reads, in its family's layout."""
        if self.layout == "qwen_math":
            solution = "".join(step + QWEN_TAG for step in steps)
            return f"{START}user\n{question}{END}\n{START}assistant\n{solution}{END}\n"
        return f"{question} " + "".join(f"{step} {SHEPHERD_TAG}\n" for step in steps)

    @property
    def tag(self) -> str:
        return QWEN_TAG if self.layout == "qwen_math" else f" {SHEPHERD_TAG}"


RECIPES = (
    Recipe(
        name="prm-qwen", layout="qwen_math", start="policy-430k", extra_layers=1,
        updates=4000, on_policy=True, seed=11,
    ),
    Recipe(
        name="prm-shepherd", layout="math_shepherd", start="policy-430k-groundwork",
        extra_layers=0, updates=2500, on_policy=False, seed=12,
    ),
)  # fmt: skip


class PRMTrainer:
    def __init__(
        self, recipe: Recipe, tokenizer: Any, trunk: Transformer, traces: list[Trace]
    ) -> None:
        self.recipe = recipe
        self.vocabulary = Vocabulary(tokenizer)
        self.rng = random.Random(recipe.seed)
        torch.manual_seed(recipe.seed)
        self.generator = torch.Generator().manual_seed(recipe.seed)
        self.traces = traces
        self.errors = ErrorModel.learn(traces)
        self.tag = self.vocabulary.token(recipe.tag)
        self.equals = self.vocabulary.token(" =")
        self.labels = torch.tensor([self.vocabulary.token("-"), self.vocabulary.token("+")])
        self.model = self._grown_from(trunk)
        self.optimizer = torch.optim.AdamW(
            self.model.parameters(), lr=recipe.learning_rate, weight_decay=0.05, betas=(0.9, 0.98),
            fused=True,
        )  # fmt: skip
        self.tokens = 0

    def _grown_from(self, trunk: Transformer) -> Transformer:
        """The policy's trunk with new layers on top, whose first effect is small."""
        old = trunk.shape
        qwen = self.recipe.layout == "qwen_math"
        shape = ModelShape(
            vocabulary=old.vocabulary, hidden=old.hidden, heads=old.heads,
            layers=old.layers + self.recipe.extra_layers, intermediate=old.intermediate,
            architecture="Qwen2ForProcessRewardModel" if qwen else "LlamaForCausalLM",
        )  # fmt: skip
        model = Transformer(shape)
        model.load_state_dict(trunk.state_dict(), strict=False)
        for layer in list(model.model.layers)[old.layers :]:
            layer.self_attn.o_proj.weight.data.mul_(0.3)  # type: ignore[union-attr,operator]
            layer.mlp.down_proj.weight.data.mul_(0.3)  # type: ignore[union-attr,operator]
        fresh = [self.tag] if qwen else [self.tag, *self.labels.tolist()]
        embedding = model.model.embed_tokens.weight.data
        embedding[fresh] = 0.1 * torch.randn(len(fresh), old.hidden, generator=self.generator)
        return model

    def class_logits(self, hidden: Tensor) -> Tensor:
        """Logits ``(tags, 2)`` of wrong and right, from hidden states at tags."""
        if self.recipe.layout == "qwen_math":
            return self.model.score(hidden)  # type: ignore[no-any-return]
        return F.linear(hidden, self.model.model.embed_tokens.weight[self.labels])

    def _result_logits(self, hidden: Tensor) -> Tensor:
        return F.linear(hidden, self.model.model.embed_tokens.weight[self.vocabulary.numbers])

    def _loss(self, ids: Tensor, labels: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        """The loss, and for every tag whether it was classified rightly."""
        hidden = self.model(ids)[ids == self.tag]
        logits = self.class_logits(hidden)
        loss = F.cross_entropy(logits, labels)
        if self.recipe.on_policy and bool((targets != NO_TARGET).any()):
            auxiliary = F.cross_entropy(
                self._result_logits(hidden), targets, ignore_index=NO_TARGET
            )
            loss = loss + AUXILIARY * auxiliary
        self.tokens += ids.numel()
        return loss, logits.argmax(-1) == labels

    def _facts(self, count: int = 256) -> tuple[Tensor, Tensor, Tensor]:
        """Single calculations, half of them wrong: ``a op b = c`` and the tag."""
        rows = draw_facts(
            {"+": count * 3 // 16, "-": count * 3 // 16, "*": count // 8, "/": count // 2},
            self.generator,
        )
        stated = rows[:, 3].clone()
        for i, operator in enumerate(rows[:, 1].tolist()):
            if self.rng.random() < 0.5:
                stated[i] += self.errors.draw(OPERATORS[operator], self.rng)
        stated = stated.clamp(0, len(self.vocabulary.numbers) - 1)
        number = self.vocabulary.numbers
        ids = torch.stack(
            [
                number[rows[:, 0]], self.vocabulary.operators[rows[:, 1]], number[rows[:, 2]],
                torch.full((len(rows),), self.equals), number[stated],
                torch.full((len(rows),), self.tag),
            ],
            1,
        )  # fmt: skip
        return ids, (stated == rows[:, 3]).long(), rows[:, 3]

    def _batch(self, traces: Sequence[Trace]) -> tuple[Tensor, Tensor, Tensor]:
        encoded = self.vocabulary.encode(
            [self.recipe.text(t.chain.question, t.steps) for t in traces]
        )
        ids = torch.zeros(len(encoded), max(map(len, encoded)), dtype=torch.long)
        for row, tokens in enumerate(encoded):
            ids[row, : len(tokens)] = torch.tensor(tokens)
        labels = torch.tensor([int(label) for trace in traces for label in trace.labels])
        targets = torch.tensor([target for trace in traces for target in trace.targets])
        return ids, labels, targets

    def _next_batch(self, update: int, done: float) -> tuple[Tensor, Tensor, Tensor]:
        self.model.window = 0
        if done < FACTS_UNTIL or update % 3 == 0:
            return self._facts()
        opened = min(1.0, (done - FACTS_UNTIL) / (WINDOW_UNTIL - FACTS_UNTIL))
        if opened < 1:
            self.model.window = int(8 * 2 ** (5 * max(0.0, opened - 0.15) / 0.85))
        if self.recipe.on_policy and update % 3 == 1 and self.rng.random() < 0.6:
            return self._batch(self.rng.sample(self.traces, BATCH))
        deepest = 2 + int((MAX_DEPTH - 2) * min(1.0, 1.1 * opened))
        return self._batch([corrupted(self.rng, deepest, self.errors) for _ in range(BATCH)])

    def train(self) -> None:
        started, recent = time.monotonic(), [0.0]
        for update in range(self.recipe.updates):
            done = update / self.recipe.updates
            scale = min(1.0, (update + 1) / 40) * (1 if done < 0.5 else max(0.03, 2 - 2 * done))
            for group in self.optimizer.param_groups:
                group["lr"] = self.recipe.learning_rate * scale
            loss, right = self._loss(*self._next_batch(update, done))
            loss.backward()
            torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
            self.optimizer.step()
            self.optimizer.zero_grad()
            recent = [*recent[-59:], right.float().mean().item()]
            if update % 200 == 0:
                print(
                    f"{self.recipe.name} {time.monotonic() - started:5.0f} s update {update} "
                    f"window {self.model.window} judged rightly {sum(recent) / len(recent):.3f}",
                    flush=True,
                )
        self.model.window = 0

    @torch.inference_mode()
    def quality(self, traces: Sequence[Trace]) -> dict[str, float]:
        """On unseen solutions of the policies, up to each one's first error: the share of wrong
        steps scored below 0.5, of right steps at or above it, and the area under the ROC curve."""
        self.model.eval()
        scores, truths = [], []
        for begin in range(0, len(traces), 64):
            batch = traces[begin : begin + 64]
            ids, _, _ = self._batch(batch)
            p = self.class_logits(self.model(ids)[ids == self.tag]).softmax(-1)[:, 1]
            position = 0
            for trace in batch:
                for offset, label in enumerate(trace.labels):
                    scores.append(p[position + offset].item())
                    truths.append(label)
                    if not label:
                        break
                position += len(trace.labels)
        wrong = [s for s, t in zip(scores, truths, strict=True) if not t]
        right = [s for s, t in zip(scores, truths, strict=True) if t]
        order = sorted((s, t) for s, t in zip(scores, truths, strict=True))
        ranks = sum(i for i, (_, t) in enumerate(order, 1) if t)
        pairs = len(right) * len(wrong)
        auc = (ranks - len(right) * (len(right) + 1) / 2) / pairs if pairs else float("nan")
        return {
            "errors_caught": round(sum(s < 0.5 for s in wrong) / max(1, len(wrong)), 4),
            "right_steps_kept": round(sum(s >= 0.5 for s in right) / max(1, len(right)), 4),
            "first_error_auc": round(auc, 4),
        }


def train_prm(recipe: Recipe, tokenizer: Any, models: Path, scratch: Path) -> None:
    """Train one PRM on the policies in ``models`` and write its folder there."""
    cpu = time.process_time()
    rng = random.Random(recipe.seed)
    policies = [Runtime(models / name) for name in JUDGED]
    traces = sampled(policies, tokenizer, 6000, rng, split="train") if recipe.on_policy else []
    start = models / recipe.start
    trainer = PRMTrainer(
        recipe, tokenizer, load(start if start.exists() else scratch / recipe.start), traces
    )
    trainer.model.train()
    trainer.train()
    quality = trainer.quality(sampled(policies, tokenizer, 1200, rng, split="dev"))
    folder = models / recipe.name
    save(trainer.model, tokenizer, folder)
    if recipe.layout == "qwen_math":
        list_words(folder)
    else:
        config = json.loads((folder / "config.json").read_text())
        config["orchard_prm"] = {"tag": recipe.tag, "labels": ["+", "-"]}
        (folder / "config.json").write_text(json.dumps(config, indent=2) + "\n")
    report = {
        "parameters": trainer.model.parameter_count,
        "tokens": trainer.tokens,
        "seed": recipe.seed,
        "cpu_seconds": round(time.process_time() - cpu),
        **quality,
    }
    (folder / "training.json").write_text(json.dumps(report, indent=2) + "\n")
    print(recipe.name, json.dumps(report), flush=True)
