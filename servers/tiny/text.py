"""A model folder's tokenizer and chat template, applied as transformers applies them."""

import json
from collections.abc import Sequence
from functools import cached_property, lru_cache
from pathlib import Path

from jinja2 import Template
from jinja2.ext import loopcontrols
from jinja2.sandbox import ImmutableSandboxedEnvironment
from tokenizers import Tokenizer

_CONTINUE = "CONTINUE_FINAL_MESSAGE_TAG "  # transformers' mark for where an open message ends


class Text:
    """Text to token ids and back."""

    def __init__(self, folder: Path) -> None:
        """Raises ``FileNotFoundError`` where the folder has no tokenizer."""
        if not (folder / "tokenizer.json").is_file():
            raise FileNotFoundError(f"{folder} has no tokenizer.json: not a model folder?")
        self._tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        template = folder / "chat_template.jinja"
        if template.is_file():
            self._source: str | None = template.read_text()
        else:
            settings = json.loads((folder / "tokenizer_config.json").read_text())
            self._source = settings.get("chat_template")
        self.completing = lru_cache(256)(self._completing)
        self.spelled = lru_cache(65_536)(self._spelled)

    def encode(self, text: str) -> list[int]:
        return list(self._tokenizer.encode(text).ids)

    def decode(self, ids: Sequence[int], *, skip_special: bool = True) -> str:
        return str(self._tokenizer.decode(ids, skip_special_tokens=skip_special))

    def _spelled(self, token: int) -> str:
        """The text of one token, special ones included."""
        return self.decode([token], skip_special=False)

    def only_id(self, text: str) -> int:
        """The id of a text that is one token. Raises ``ValueError`` where it is not."""
        ids = self.encode(text)
        if len(ids) != 1:
            raise ValueError(f"{text!r} is {len(ids)} tokens, not one, to this tokenizer")
        return ids[0]

    def string(self, token: int) -> str:
        """The vocabulary's own spelling of a token."""
        return str(self._tokenizer.id_to_token(token))

    @cached_property
    def _bytes(self) -> list[bytes]:
        return [_bytes_of(self.string(token)) for token in range(len(self))]

    def __len__(self) -> int:
        return int(self._tokenizer.get_vocab_size(with_added_tokens=True))

    def _completing(self, stops: tuple[str, ...]) -> frozenset[int]:
        """The tokens after which a text might end with, or contain, one of ``stops``."""
        last = {stop.encode()[-1] for stop in stops}
        return frozenset(i for i, spelled in enumerate(self._bytes) if last.intersection(spelled))

    def render(
        self,
        messages: Sequence[dict[str, str]],
        *,
        add_generation_prompt: bool,
        continue_final_message: bool,
    ) -> str:
        """Apply the chat template. Raises ``ValueError`` where it cannot be applied."""
        if self._source is None:
            raise ValueError("this model's tokenizer has no chat template: send a prompt instead")
        chat = [dict(message) for message in messages]
        if continue_final_message:
            chat[-1]["content"] += _CONTINUE
        text = _compile(self._source).render(
            messages=chat, add_generation_prompt=add_generation_prompt, tools=None, documents=None
        )
        if not continue_final_message:
            return text
        end = text.rindex(_CONTINUE.strip())
        kept = text[:end]
        return kept if text[end : end + len(_CONTINUE)] == _CONTINUE else kept.rstrip()


@lru_cache(8)
def _compile(source: str) -> Template:
    environment = ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=[loopcontrols]
    )
    return environment.from_string(source)


@lru_cache(1)
def _byte_of_character() -> dict[str, int]:
    """Byte-level BPE's alphabet: printable bytes stand for themselves, others from U+0100 on."""
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [byte for byte in range(256) if byte not in set(printable)]
    return {chr(b): b for b in printable} | {chr(0x100 + i): b for i, b in enumerate(others)}


def _bytes_of(spelling: str) -> bytes:
    alphabet = _byte_of_character()
    if all(character in alphabet for character in spelling):
        return bytes(alphabet[character] for character in spelling)
    return spelling.encode()
