"""One model from its recipe to its folder, in a process of its own."""

import json
import random
from pathlib import Path

import torch

from servers.tiny import tokenizer as tokens
from servers.tiny.problems import TEST_DEPTHS, draw
from servers.tiny.runtime import Runtime
from servers.tiny.train.policies import PolicySize, train_policy
from servers.tiny.train.prms import Recipe, train_prm
from servers.tiny.train.sampler import greedy_accuracy

DEVELOPMENT_PROBLEMS = 810


def build_policy(rung: PolicySize, models: Path, scratch: Path) -> None:
    """Train a policy and add its greedy accuracy on development problems to what it reports."""
    torch.set_num_threads(1)
    tokenizer = tokens.build()
    train_policy(rung, tokenizer, models, scratch)
    rng = random.Random(5)
    each = DEVELOPMENT_PROBLEMS // len(TEST_DEPTHS)
    problems = [draw(rng, depth, "dev") for depth in TEST_DEPTHS for _ in range(each)]
    accuracy = greedy_accuracy(Runtime(models / rung.name), tokenizer, problems)
    report = models / rung.name / "training.json"
    facts = json.loads(report.read_text())
    facts["greedy"] = {name: round(share, 4) for name, share in accuracy.items()}
    report.write_text(json.dumps(facts, indent=2) + "\n")
    print(rung.name, json.dumps(facts), flush=True)


def build_prm(recipe: Recipe, models: Path, scratch: Path) -> None:
    """Train a PRM, on the policies in ``models``."""
    torch.set_num_threads(1)
    train_prm(recipe, tokens.build(), models, scratch)
