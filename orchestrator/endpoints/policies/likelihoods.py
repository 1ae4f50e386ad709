"""How likely a sample and its question were to the policy, by the log-probabilities servers send.

A server that sends none, or only some, gives None: it cannot say. What is no log-probability
raises ``ValueError``, so that it never counts as one.
"""

from typing import TypeVar

import msgspec

from orchestrator.core.confidence import Confidence, confidence
from orchestrator.endpoints.http.wire import PromptToken, SampleLogprobs, is_given

_sample = msgspec.json.Decoder(SampleLogprobs)
_prompt = msgspec.json.Decoder(list[dict[str, PromptToken] | None])

T = TypeVar("T")


def likelihood_of_sample(told: msgspec.Raw) -> Confidence | None:
    """From a choice's ``logprobs``, of chat or completions; None where some token's is missing.

    Raises ``ValueError`` for NaN or a number above 0.
    """
    found = _decoded(_sample, told)
    if found is None:
        return None
    numbers = found.token_logprobs
    if numbers is None:
        numbers = [token.logprob for token in found.content or []]
    known = [each for each in numbers if each is not None]
    return confidence(known) if len(known) == len(numbers) else None


def likelihood_of_question(told: msgspec.Raw, question: str) -> float | None:
    """The mean log-probability a token of ``question``, from a response's ``prompt_logprobs``.

    The prompt holds the question between the chat template's own tokens, which are the same for
    every problem. Its tokens are found by their text, ASCII letters and digits alone: tokenizers
    spell white space and parts of characters in their own ways. Where it is not found, the mean is
    over the whole prompt; the first token of a prompt has no log-probability and never counts.
    vLLM computes such a prompt without its prefix cache, so ask once a problem at most.

    Raises ``ValueError`` for NaN or a number above 0.
    """
    found = _decoded(_prompt, told)
    if not found:
        return None
    tokens = [next(iter(each.values()), None) if each else None for each in found]
    if any(token is None or token.logprob is None for token in tokens[1:]):
        return None
    texts = [_plain(token.decoded_token or "") if token else "" for token in tokens]
    inside = _positions(texts, _plain(question)) or range(len(tokens))
    known = [token.logprob for i in inside if (token := tokens[i]) and token.logprob is not None]
    whole = confidence(known)
    return None if whole is None else whole.mean


def _positions(texts: list[str], wanted: str) -> range | None:
    """The tokens whose texts hold ``wanted``, where it stands for the last time."""
    at = "".join(texts).rfind(wanted) if wanted else -1
    if at < 0:
        return None
    starts, end = [], 0
    for text in texts:
        starts.append(end)
        end += len(text)
    first = max(i for i, start in enumerate(starts) if start <= at and texts[i])
    last = max(i for i, start in enumerate(starts) if start < at + len(wanted) and texts[i])
    return range(first, last + 1)


def _plain(text: str) -> str:
    return "".join(each for each in text if each.isascii() and each.isalnum())


def _decoded(decoder: msgspec.json.Decoder[T], told: msgspec.Raw) -> T | None:
    """None where a server gave nothing, or something of another shape."""
    if not is_given(told):
        return None
    try:
        return decoder.decode(told)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return None
