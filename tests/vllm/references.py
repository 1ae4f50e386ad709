"""Every PRM family's scores as its authors' own code computes them, with transformers and torch.

Nothing here knows the product: texts are rendered, tokenised and scored as in the sources named.
All run in float32 on the CPU, one solution at a time.
"""

from collections.abc import Callable, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import nn
from transformers import (
    AutoModelForCausalLM,
    AutoModelForSequenceClassification,
    AutoModelForTokenClassification,
    AutoTokenizer,
)

QWEN_SYSTEM = r"Please reason step by step, and put your final answer within \boxed{}."

Score = Callable[[str, Sequence[str]], list[float]]
"""From a question and its steps to a score for each."""


def math_shepherd(folder: Path) -> Score:
    """The model card of peiyi9979/math-shepherd-mistral-7b-prm."""
    tokenizer, model = _tokenizer(folder), _model(AutoModelForCausalLM, folder)
    candidates = tokenizer.encode("+ -")[1:]
    step_tag = tokenizer.encode("ки")[-1]

    def score(question: str, steps: Sequence[str]) -> list[float]:
        output = "\n".join(f"{step.strip()} ки" for step in steps)
        ids = torch.tensor([tokenizer.encode(f"{question} {output}")])
        logits = model(ids).logits[:, :, candidates]
        good = logits.softmax(dim=-1)[:, :, 0]
        return list(good[ids == step_tag].tolist())

    return score


def rlhflow(folder: Path) -> Score:
    """math-rm/prm_evaluate.py of RLHFlow/RLHF-Reward-Modeling."""
    tokenizer, model = _tokenizer(folder), _model(AutoModelForCausalLM, folder)
    candidates = [tokenizer.encode("+")[-1], tokenizer.encode("-")[-1]]

    def score(question: str, steps: Sequence[str]) -> list[float]:
        conversation: list[dict[str, str]] = []
        scores = []
        for k, step in enumerate(step.strip() for step in steps):
            text = f"{question} {step}" if k == 0 else step
            conversation.append({"role": "user", "content": text})
            conversation.append({"role": "assistant", "content": "+"})
            ids = tokenizer.apply_chat_template(conversation, return_dict=False)
            # the last three tokens are the header's end, "+" and the turn's end
            logits = model(torch.tensor([ids])).logits[:, -3, candidates]
            scores.append(logits.softmax(dim=-1)[0, 0].item())
        return scores

    return score


def skywork(folder: Path) -> Score:
    """model_utils/io_utils.py and prm_model.py of SkyworkAI/skywork-o1-prm-inference.

    Steps are lines there, so a step's own line ends become spaces, as in the paper's code.
    """
    tokenizer, model = _tokenizer(folder), _model(AutoModelForCausalLM, folder)
    weights = load_file(folder / "model.safetensors")
    newline = tokenizer.encode("\n")[-1]

    def score(question: str, steps: Sequence[str]) -> list[float]:
        ids = tokenizer.encode(tokenizer.bos_token + question + "\n")
        ends = []
        for step in steps:
            ids += [*tokenizer.encode(step.strip().replace("\n", " ")), newline]
            ends.append(len(ids) - 1)
        hidden = model.model(torch.tensor([ids])).last_hidden_state[0, ends]
        values = nn.functional.linear(
            hidden, weights["v_head.summary.weight"], weights["v_head.summary.bias"]
        )
        return list(values.squeeze(-1).sigmoid().tolist())

    return score


def qwen_math(folder: Path) -> Score:
    """``make_step_rewards`` of Qwen/Qwen2.5-Math-PRM-7B's model card, and its modelling code."""
    return _qwen_math(folder, QWEN_SYSTEM)


def qwen_math_without_system(folder: Path) -> Score:
    """The same where the model was trained without a system message, as ``prm-qwen`` was."""
    return _qwen_math(folder, None)


def _qwen_math(folder: Path, system: str | None) -> Score:
    tokenizer, model = _tokenizer(folder), _model(AutoModelForCausalLM, folder)
    weights = load_file(folder / "model.safetensors")
    layer = {name: weight.float() for name, weight in weights.items() if name.startswith("score.")}

    def score(question: str, steps: Sequence[str]) -> list[float]:
        messages = [] if system is None else [{"role": "system", "content": system}]
        messages += [
            {"role": "user", "content": question},
            {"role": "assistant", "content": "".join(f"{s.strip()}<extra_0>" for s in steps)},
        ]
        text = tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=False)
        ids = torch.tensor([tokenizer.encode(text)])
        hidden = model.model(ids).last_hidden_state
        hidden = nn.functional.linear(hidden, layer["score.0.weight"], layer["score.0.bias"]).relu()
        logits = nn.functional.linear(hidden, layer["score.2.weight"], layer["score.2.bias"])
        separator = tokenizer.encode("<extra_0>")[0]
        return list(logits.softmax(dim=-1)[ids == separator][:, 1].tolist())

    return score


def trl(folder: Path) -> Score:
    """``PRMTrainer.tokenize_row`` of TRL (step separator a line end); class 1 is "right"."""
    tokenizer, model = _tokenizer(folder), _model(AutoModelForTokenClassification, folder)

    def score(question: str, steps: Sequence[str]) -> list[float]:
        prompt = tokenizer(question, add_special_tokens=False)["input_ids"]
        if tokenizer.bos_token_id is not None:
            prompt = [tokenizer.bos_token_id, *prompt]
        separator = tokenizer.encode("\n", add_special_tokens=False)
        completions = [
            tokenizer(step.strip(), add_special_tokens=False)["input_ids"] + separator
            for step in steps
        ]
        ids = prompt + list(chain(*completions))
        labelled = [
            at
            for at, label in enumerate(
                [-100] * len(prompt)
                + list(chain(*([-100] * (len(each) - 1) + [1] for each in completions)))
            )
            if label == 1
        ]
        return list(model(torch.tensor([ids])).logits[0, labelled].softmax(-1)[:, 1].tolist())

    return score


def outcome(folder: Path) -> Score:
    """A sequence classifier's one logit for the whole chat; every step carries its sigmoid."""
    tokenizer = _tokenizer(folder)
    model = _model(AutoModelForSequenceClassification, folder)

    def score(question: str, steps: Sequence[str]) -> list[float]:
        messages = [
            {"role": "user", "content": question},
            {"role": "assistant", "content": "".join(steps)},
        ]
        ids = tokenizer.apply_chat_template(messages, return_dict=False)
        value = model(torch.tensor([ids])).logits[0, 0].sigmoid().item()
        return [value] * len(steps)

    return score


def _tokenizer(folder: Path) -> Any:
    return AutoTokenizer.from_pretrained(folder)


def _model(kind: Any, folder: Path) -> Any:
    return kind.from_pretrained(folder, dtype=torch.float32).eval().requires_grad_(False)
