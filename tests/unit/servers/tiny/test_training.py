"""How the embedded models are made: the same stream for every rung, honest labels, one layout."""

import random
from itertools import islice
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator.endpoints.prm import MathShepherdPRM, QwenMathPRM
from orchestrator.endpoints.transport.transport import Endpoint, Transport
from servers.tiny.problems import (
    LABELS,
    LIMIT,
    MAX_DEPTH,
    OPERATORS,
    SEPARATOR,
    draw,
    own_labels,
    split_of,
)
from servers.tiny.tokenizer import build, prompt_text
from servers.tiny.train.facts import TABLES
from servers.tiny.train.policies import LADDER, SEED, Mastery, PolicyTrainer
from servers.tiny.train.prms import RECIPES, PRMTrainer
from servers.tiny.train.traces import ErrorModel, Trace, corrupted


@pytest.fixture(scope="module")
def tokenizer() -> Any:
    return build()


def test_the_tokenizer_is_the_same_every_time_it_is_built(tokenizer: Any) -> None:
    assert build().get_vocab() == tokenizer.get_vocab()


def test_everything_a_calculation_needs_is_one_token(tokenizer: Any) -> None:
    words = [SEPARATOR, "+", "-", " =", "Step", "<extra_0>", " ки", r" $\boxed{", "}$."]
    words += [f"{v}" for v in range(LIMIT)] + [f" {v}" for v in range(LIMIT)]
    words += [f" {o}" for o in OPERATORS] + [f" {label}" for label in LABELS[:MAX_DEPTH]]
    several = [w for w in words if len(tokenizer.encode(w, add_special_tokens=False)) != 1]
    assert several == []


def test_the_prompt_is_what_the_chat_template_renders(tokenizer: Any) -> None:
    messages = [{"role": "user", "content": "What?"}]
    rendered = tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
    assert rendered == prompt_text("What?")


def test_mastery_needs_a_whole_span_at_the_bar() -> None:
    mastery = Mastery(0.9, span=3)
    for accuracy in (1.0, 1.0):
        mastery.add(accuracy)
    assert not mastery.reached
    mastery.add(0.7)
    assert mastery.reached
    mastery.add(0.9)
    assert not mastery.reached


def test_every_rung_is_exposed_to_the_same_stream(tokenizer: Any) -> None:
    trainers = [PolicyTrainer(rung, tokenizer) for rung in LADDER]
    streams = [
        list(islice(each._chain_batches(random.Random(SEED + 1), OPERATORS), 5))
        for each in trainers
    ]
    for stream in streams[1:]:
        for (ids, begin), (other, other_begin) in zip(streams[0], stream, strict=True):
            assert torch.equal(ids, other)
            assert begin == other_begin


def test_a_training_batch_holds_training_problems_and_asks_only_for_solutions(
    tokenizer: Any,
) -> None:
    trainer = PolicyTrainer(LADDER[0], tokenizer)
    ids, begin = next(trainer._chain_batches(random.Random(1), OPERATORS))
    prompts = tokenizer.batch_decode(ids[:, :begin])
    solutions = tokenizer.batch_decode(ids[:, begin:])
    assert all(prompt.endswith("<|im_start|>assistant\n") for prompt in prompts)
    assert all(solution.startswith("Step A ") for solution in solutions)
    assert all(solution.endswith("}$.<|im_end|>") for solution in solutions)


def test_a_few_updates_teach_something(tokenizer: Any) -> None:
    trainer = PolicyTrainer(LADDER[0], tokenizer)
    first, _ = trainer._fact_loss(256)
    for _ in range(40):
        loss, _ = trainer._fact_loss(256)
        trainer._update(loss)
    assert loss.item() < first.item() - 0.5


def test_facts_are_right_and_within_the_limit() -> None:
    for operator, table in TABLES.items():
        assert len(table) > 500, operator
        assert int(table[:, 3].max()) < LIMIT
    assert [7, 3, 2, 3] in TABLES["/"].tolist()  # 7 / 2 = 3, the remainder dropped


@settings(deadline=None)
@given(st.integers(0, 2**32), st.integers(2, MAX_DEPTH))
def test_a_corrupted_solution_is_labelled_as_the_rules_for_steps_say(seed: int, depth: int) -> None:
    trace = corrupted(random.Random(seed), depth, ErrorModel(), rate=0.5)
    assert trace.labels == own_labels(trace.chain, trace.steps)
    assert split_of(trace.chain) == "train"


def test_errors_are_drawn_as_they_were_seen() -> None:
    chain = draw(random.Random(1), 3, "train")
    steps = chain.steps
    label, result = steps[0].rsplit(" ", 1)
    steps[0] = f"{label} {int(result) + 4}"
    operator = chain.operations[0][0]
    model = ErrorModel.learn([Trace(chain, steps, own_labels(chain, steps), [])])
    assert model.seen == {operator: [4]}
    rng = random.Random(2)
    drawn = [model.draw(operator, rng) for _ in range(400)]
    assert 0.7 < drawn.count(4) / 400 < 0.95


def test_what_a_prm_is_trained_on_is_what_the_orchestrator_sends_it() -> None:
    steps = ["Step A + 1: 1 + 1 = 2", r"Therefore, the final answer is: $\boxed{2}$."]
    sent = ("Step A + 1: 1 + 1 = 2" + SEPARATOR, steps[1])
    transport = Transport(Endpoint(urls=("http://127.0.0.1:1",), model="x"))
    by_layout = {
        "qwen_math": QwenMathPRM(transport=transport, system=None),
        "math_shepherd": MathShepherdPRM(transport=transport, route="prefix"),
    }
    for recipe in RECIPES:
        assert recipe.text("Q?", steps) == by_layout[recipe.layout].render("Q?", sent)


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda recipe: recipe.name)
def test_a_prm_batch_has_one_label_for_every_tag(recipe: Any, tokenizer: Any) -> None:
    trunk = PolicyTrainer(LADDER[0], tokenizer).model
    trainer = PRMTrainer(recipe, tokenizer, trunk, [])
    rng = random.Random(5)
    traces = [corrupted(rng, 6, ErrorModel()) for _ in range(8)]
    ids, labels, targets = trainer._batch(traces)
    assert int((ids == trainer.tag).sum()) == len(labels) == len(targets)
    loss, right = trainer._loss(ids, labels, targets)
    assert torch.isfinite(loss)
    assert right.shape == labels.shape
