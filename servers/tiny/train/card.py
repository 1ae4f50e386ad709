"""The model card of each embedded model, written from what its training reported."""

import json
from pathlib import Path

_POLICY = """---
license: apache-2.0
---
# {name}

A policy of {parameters:,} parameters that solves chains of whole-number operations step by step
(`servers/tiny/problems.py`). Trained from nothing by `python -m servers.tiny.train`: first the
groundwork (single facts, look-up of instructions, whole chains without division) until it is
mastered, then {exposure_tokens:,} tokens of chains with division, the same stream for every policy
of the ladder. {tokens:,} tokens in all, {cpu_seconds} CPU seconds, seed {seed}.

Greedy, on 810 development problems of 2 to 10 operations: {greedy[answer]:.1%} of answers right,
{greedy[chain]:.1%} of whole chains (division drops the remainder, so a wrong chain can end right).

Llama layout, bfloat16, ChatML template. It knows this one task and nothing else. Its training
problems and the held-out ones are disjoint by construction.
"""

_PRM = """---
license: apache-2.0
---
# {name}

A process reward model of {parameters:,} parameters for the chains of `servers/tiny/problems.py`, in
the layout of {family}. {how}

**What its score means.** A step is judged by itself, given the values stated before it: does it
restate the right instruction, carry the right value and calculate correctly? A later step can
score high after a wrong one, so a path's value is the **running minimum** of its steps; serve it
with `running_minimum: true`, and the last score is the value of the path. It never sees an answer.

On unseen solutions of the policies, up to each one's first error: wrong steps scored below 0.5
{errors_caught:.1%}, right steps at or above it {right_steps_kept:.1%}, area under the ROC curve
{first_error_auc:.3f}. {tokens:,} training tokens, {cpu_seconds} CPU seconds, seed {seed}.

vLLM serves this folder with `--runner pooling {flags}`.
"""

_FAMILIES = {
    "prm-qwen": (
        "Qwen2.5-Math-PRM (`Qwen2ForProcessRewardModel`; two classes at `<extra_0>`)",
        "Trained on solutions the three policies sampled and on right solutions corrupted with the"
        " errors they make; as an auxiliary task it predicts each step's right result.",
        """--pooler-config '{"step_tag_id": 3}'""",
    ),
    "prm-shepherd": (
        'Math-Shepherd (causal; "+" against "-" at the tag ` ки`)',
        "Weaker on purpose: it only ever saw made-up errors, never a policy's own, and misses many"
        " of the real ones, as a PRM does away from the policy it was trained on.",
        """--convert classify --hf-overrides '{"method": "no_post_processing",
"classifier_from_token": ["+", "-"]}' --pooler-config '{"task": "token_classify",
"tok_pooling_type": "STEP", "step_tag_id": 566}'""",
    ),
}


def write_card(folder: Path) -> None:
    """Write ``README.md`` into a model's folder."""
    facts = json.loads((folder / "training.json").read_text())
    if folder.name in _FAMILIES:
        family, how, flags = _FAMILIES[folder.name]
        text = _PRM.format(name=folder.name, family=family, how=how, flags=flags, **facts)
    else:
        text = _POLICY.format(name=folder.name, **facts)
    (folder / "README.md").write_text(text)
