"""The tokenizer all tiny models share: byte-level BPE in which every number 0..199 is one token.

Its chat template is ChatML, as Qwen2.5's, and its special tokens hold the step tags of both PRM
layouts: ``<extra_0>`` (Qwen2.5-Math-PRM) and ``ки`` (Math-Shepherd).
"""

import json
import random
from pathlib import Path

from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

from servers.tiny.problems import LABELS, LIMIT, MAX_DEPTH, OPERATORS, draw

PAD, START, END = "<|endoftext|>", "<|im_start|>", "<|im_end|>"
QWEN_TAG, SHEPHERD_TAG = "<extra_0>", "ки"
SPECIAL = [PAD, START, END, QWEN_TAG]

CHATML = (
    "{% for message in messages %}"
    "{{ '<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' + '\n' }}"
    "{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
_BYTES = decoders.ByteLevel()
_PIECES = (
    r"\n\n| ?\$\\boxed\{|\}\$\.| ?\d{1,3}| ?\p{L}+| ?[^\s\p{L}\d]|\s"  # a piece never crosses these
)


def build() -> PreTrainedTokenizerFast:
    """Train the tokenizer on generated problems; the same result every time."""
    rng, corpus = random.Random(0), []
    for _ in range(8000):
        chain = draw(rng, rng.randint(1, MAX_DEPTH), "train")
        corpus.append(f"user\n{chain.question}\nassistant\n{chain.solution}")
    corpus += [f" {v} {{{v}}}" for v in range(LIMIT) for _ in range(200)]
    corpus += [f" {label}" for label in LABELS for _ in range(300)]
    corpus += [f" {operator} {operator}" for operator in OPERATORS for _ in range(300)]
    corpus += [f" {SHEPHERD_TAG}" for _ in range(300)]

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(_PIECES), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.train_from_iterator(
        corpus,
        trainers.BpeTrainer(
            vocab_size=768,
            special_tokens=SPECIAL,
            initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
            show_progress=False,
        ),
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        eos_token=END,
        pad_token=PAD,
        additional_special_tokens=[START, QWEN_TAG],
        clean_up_tokenization_spaces=False,
        chat_template=CHATML,
        model_max_length=512,
    )


def prompt_text(question: str) -> str:
    """A user's question in ChatML, up to where the assistant begins."""
    return f"{START}user\n{question}{END}\n{START}assistant\n"


def training_text(question: str, solution: str) -> str:
    return prompt_text(question) + solution + END


def list_words(folder: Path) -> None:
    """Rewrite a folder's tokenizer so that every word stands in it as an added token, under its id.

    transformers loads any Qwen2 folder with Qwen2's own way of parting text, digit by digit, which
    would take our numbers apart; added tokens are found before a text is parted at all. The ids of
    a text stay the same.
    """
    path = folder / "tokenizer.json"
    content = json.loads(path.read_text())
    vocabulary, added = {}, content["added_tokens"]
    plain = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False}
    for token, number in sorted(content["model"]["vocab"].items(), key=lambda entry: entry[1]):
        word = _BYTES.decode([token])
        if number < len(SPECIAL) or len(token) == 1 or "\ufffd" in word:
            vocabulary[token] = number
        else:
            vocabulary[word] = number
            added.append({"id": number, "content": word, **plain, "special": False})
    content["model"] |= {"vocab": vocabulary, "merges": []}
    path.write_text(json.dumps(content, ensure_ascii=False, indent=1) + "\n")
