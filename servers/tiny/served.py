"""A model folder, loaded and ready to serve: its role follows from its config."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from servers.tiny.generation import Generator
from servers.tiny.prefix_cache import PrefixCache
from servers.tiny.runtime import Runtime
from servers.tiny.scoring import StepScorer, StepTags
from servers.tiny.stats import Stats
from servers.tiny.text import Text
from servers.tiny.worker import Lane

CACHE_BYTES = 256 * 2**20  # of a model's prefix cache
QWEN_TAG = "<extra_0>"  # after each step, in the format of Qwen2.5-Math-PRM


@dataclass(frozen=True, slots=True, kw_only=True)
class Served:
    """One model of the server.

    A process reward model scores steps. Every causal language model, the "+"/"-" kind of reward
    model too, has a ``generator`` and scores labels.
    """

    name: str
    folder: Path
    text: Text
    context: int
    vocabulary: int
    end_of_text: frozenset[int]
    is_causal: bool
    scores_steps: bool
    generator: Generator | None
    scorer: StepScorer
    stats: Stats

    @property
    def lanes(self) -> list[Lane]:
        """The work the compute thread does for this model."""
        return [self.scorer] if self.generator is None else [self.generator, self.scorer]

    @classmethod
    def load(cls, name: str, folder: Path, *, max_num_seqs: int, cache_bytes: int) -> "Served":
        """Raises ``FileNotFoundError`` for an incomplete folder, ``ValueError`` for one of an
        architecture or step tag that this server does not know.
        """
        if not (folder / "config.json").is_file():
            raise FileNotFoundError(f"{folder} has no config.json: not a model folder?")
        config = json.loads((folder / "config.json").read_text())
        text, runtime, stats = Text(folder), Runtime(folder), Stats()
        tags = _step_tags(config, text)
        is_causal = not runtime.shape.is_prm_head

        def new_cache() -> PrefixCache:
            return PrefixCache(runtime.shape.layers, 2 * runtime.width, cache_bytes)

        cache = new_cache()
        scorer = StepScorer(runtime, cache, stats, tags)
        generator = None
        if is_causal:
            # Step scores are kept with the blocks, so a block that lacks them must not be found.
            own = cache if tags is None else new_cache()
            generator = Generator(runtime, own, stats, max_num_seqs=max_num_seqs)
        return cls(
            name=name,
            folder=folder,
            text=text,
            context=runtime.context,
            vocabulary=runtime.shape.vocabulary,
            end_of_text=_end_of_text(folder, config),
            is_causal=is_causal,
            scores_steps=tags is not None,
            generator=generator,
            scorer=scorer,
            stats=stats,
        )


def _step_tags(config: dict[str, Any], text: Text) -> StepTags | None:
    """How a process reward model marks and scores steps; ``None`` for a policy."""
    match config["architectures"]:
        case ["Qwen2ForProcessRewardModel"]:
            return StepTags(text.only_id(QWEN_TAG), None)
        case ["LlamaForCausalLM"] if "orchard_prm" in config:
            marks = config["orchard_prm"]
            good, bad = map(text.only_id, marks["labels"])
            return StepTags(text.only_id(marks["tag"]), (good, bad))
        case ["LlamaForCausalLM"]:
            return None
        case other:
            raise ValueError(
                f"cannot serve the architecture {other}: "
                "use LlamaForCausalLM or Qwen2ForProcessRewardModel"
            )


def _end_of_text(folder: Path, config: dict[str, Any]) -> frozenset[int]:
    settings = folder / "generation_config.json"
    if settings.is_file():
        config = config | json.loads(settings.read_text())
    ids = config.get("eos_token_id")
    return frozenset(ids if isinstance(ids, list) else [] if ids is None else [ids])
