"""The tokenizer and chat template against transformers' own."""

from pathlib import Path
from typing import Any

import pytest
from transformers import AutoTokenizer

from servers.tiny.text import Text

CHATS = [
    [("user", "Start with 3. Then A + 4. What is the result?")],
    [("system", "Be brief."), ("user", "  spaced \n"), ("assistant", "Step A + 4: 3 + 4 = 7\n\n")],
    [("user", "{{ 7 * 7 }} {% x %}"), ("assistant", " leading and trailing ")],
    [("user", "ки и ещё"), ("assistant", "")],
]


@pytest.mark.parametrize("chat", CHATS)
@pytest.mark.parametrize("mode", ["plain", "add_generation_prompt", "continue_final_message"])
def test_chats_become_the_tokens_transformers_makes(
    folders: dict[str, Path], chat: list[tuple[str, str]], mode: str
) -> None:
    text = Text(folders["policy"])
    reference: Any = AutoTokenizer.from_pretrained(folders["policy"])
    messages = [{"role": role, "content": content} for role, content in chat]
    flags = {f: f == mode for f in ("add_generation_prompt", "continue_final_message")}
    expected = reference.apply_chat_template(messages, tokenize=False, **flags)
    rendered = text.render(messages, **flags)
    assert rendered == expected
    ids = text.encode(rendered)
    assert ids == reference.encode(rendered)
    assert text.decode(ids) == reference.decode(ids, skip_special_tokens=True)


def test_a_token_that_ends_with_or_contains_a_stop_strings_end_completes_it(
    folders: dict[str, Path],
) -> None:
    text = Text(folders["policy"])
    completing = text.completing(("\n\n",))
    assert {text.only_id("\n\n"), text.only_id("\n")} == completing
    assert set(text.encode("я")) & text.completing(("я",))


def test_a_text_of_several_tokens_is_no_tag(folders: dict[str, Path]) -> None:
    with pytest.raises(ValueError, match="tokens, not one"):
        Text(folders["policy"]).only_id("two words")


def test_a_folder_without_a_tokenizer_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"tokenizer\.json"):
        Text(tmp_path)
