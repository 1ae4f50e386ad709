"""From what a request says to token ids, checked against the model."""

from collections.abc import Sequence

from servers.tiny.errors import BadRequest, too_long
from servers.tiny.served import Served
from servers.tiny.wire import Message, PromptInput


def prompts_of(prompt: PromptInput, served: Served) -> list[list[int]]:
    """Token ids of a prompt given as a text, as token ids, or as a list of either."""
    if isinstance(prompt, str):
        return [served.text.encode(prompt)]
    if not prompt:
        raise BadRequest("please provide at least one prompt", param="prompt")
    if all(isinstance(part, str) for part in prompt):
        return [served.text.encode(part) for part in prompt if isinstance(part, str)]
    if all(isinstance(part, int) for part in prompt):
        return [_known([part for part in prompt if isinstance(part, int)], served)]
    if all(isinstance(part, list) for part in prompt):
        return [_known(part, served) for part in prompt if isinstance(part, list)]
    raise BadRequest("a prompt is a text, token ids, or a list of either, not a mixture")


def chat_ids(
    messages: Sequence[Message],
    served: Served,
    *,
    add_generation_prompt: bool,
    continue_final_message: bool,
) -> list[int]:
    """Token ids of a conversation, by the model's chat template."""
    if not messages:
        raise BadRequest("messages must hold at least one message", param="messages")
    if continue_final_message and add_generation_prompt:
        raise BadRequest(
            "Cannot set both `continue_final_message` and `add_generation_prompt` to True."
        )
    plain = [{"role": m.role, "content": _content(m)} for m in messages]
    try:
        rendered = served.text.render(
            plain,
            add_generation_prompt=add_generation_prompt,
            continue_final_message=continue_final_message,
        )
    except ValueError as error:
        raise BadRequest(str(error)) from None
    return served.text.encode(rendered)


def check_length(ids: Sequence[int], served: Served, *, output: int) -> None:
    """Raise ``BadRequest`` for a prompt that is empty or leaves no room for any output asked for.

    More output than there is room for is no error: it is cut at the context's end.
    """
    if not ids:
        raise BadRequest("The decoder prompt cannot be empty", param="prompt")
    if len(ids) + min(output, 1) > served.context:
        raise too_long(served.context, len(ids), output)


def _content(message: Message) -> str:
    if isinstance(message.content, list):
        if any(part.type != "text" for part in message.content):
            raise BadRequest("a message's content parts must be of the type 'text'")
        return "\n".join(part.text for part in message.content)
    return message.content or ""


def _known(ids: list[int], served: Served) -> list[int]:
    wrong = next((i for i in ids if not 0 <= i < served.vocabulary), None)
    if wrong is not None:
        raise BadRequest(f"Token id {wrong} is out of vocabulary", param="prompt")
    return ids
