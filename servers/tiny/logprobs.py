"""Log-probabilities as vLLM sends them: of sampled tokens, and of a prompt's."""

from collections.abc import Callable, Sequence

from servers.tiny import wire
from servers.tiny.jobs import Completion, Job, PromptLogprob
from servers.tiny.served import Served


def completion_logprobs(
    completion: Completion, name: Callable[[int], str]
) -> wire.CompletionLogprobs:
    tokens = [name(token) for token in completion.ids]
    offsets, at = [], 0
    for spelled in tokens:
        offsets.append(at)
        at += len(spelled)
    tops = []
    for spelled, found in zip(tokens, completion.logprobs, strict=True):
        top = {spelled: found.logprob}
        top |= {name(token): logprob for token, logprob in found.others}
        tops.append(top)
    return wire.CompletionLogprobs(offsets, [f.logprob for f in completion.logprobs], tokens, tops)


def chat_logprobs(completion: Completion, served: Served) -> wire.ChatLogprobs:
    def described(pairs: Sequence[tuple[int, float]]) -> list[wire.ChatLogprob]:
        spelled = [(served.text.spelled(token), logprob) for token, logprob in pairs]
        return [wire.ChatLogprob(s, logprob, list(s.encode())) for s, logprob in spelled]

    content = []
    for token, found in zip(completion.ids, completion.logprobs, strict=True):
        chosen = described([(token, found.logprob)])[0]
        content.append(
            wire.ChatTokenLogprob(
                chosen.token, chosen.logprob, chosen.bytes, described(found.others)
            )
        )
    return wire.ChatLogprobs(content)


def prompt_logprobs(job: Job, prompt: int, served: Served) -> wire.PromptLogprobs | None:
    """Of one of a job's prompts; None where they are not asked for."""
    if job.sampling.prompt_logprobs is None:
        return None
    tokens = zip(job.prompts[prompt][1:], job.of_prompts[prompt], strict=True)
    return [None, *[_prompt_token(token, found, served) for token, found in tokens]]


def _prompt_token(token: int, found: PromptLogprob, served: Served) -> dict[str, wire.PromptToken]:
    ranked = [(token, found.logprob, found.rank)]
    ranked += [(other, logprob, rank) for rank, (other, logprob) in enumerate(found.others, 1)]
    return {
        str(each): wire.PromptToken(logprob, rank, served.text.spelled(each))
        for each, logprob, rank in ranked
    }
