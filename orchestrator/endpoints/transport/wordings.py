"""How servers word the refusals that end one branch: a prompt too long, a prompt that is filtered;
and those of an account, which end the run.

The rows are what these servers were seen to say, in their source or in their users' reports. Two
generic rows follow, for servers that say the same in words of their own.
"""

import re

from orchestrator.endpoints.http.complaints import Complaint

OVERFLOW_CODES = frozenset(
    (
        "context_length_exceeded", "exceed_context_size_error", "string_above_max_length",
        "model_max_prompt_tokens_exceeded", "model_context_window_exceeded", "prompt_too_long",
        "context_window_exceeded", "contextwindowexceedederror", "request_too_large",
        "input_too_long", "max_context_length_exceeded", "tokens_limit_reached", "1261",
    )
)  # fmt: skip

OVERFLOW_WORDINGS: tuple[tuple[str, str], ...] = (
    ("OpenAI, vLLM, SGLang, OpenRouter, DeepSeek, Mistral", r"maximum context length"),
    ("OpenAI", r"exceeds? the context window"),
    ("OpenAI", r"input tokens exceeds? the configured limit"),
    ("OpenAI", r"string too long"),
    ("OpenAI, Groq", r"reduce the length of (?:the|your) (?:messages|input|prompt)"),
    ("vLLM", r"context length is only [\d,]+"),
    ("vLLM", r"longer than the maximum model length"),
    ("vLLM, TabbyAPI, TensorRT-LLM, LMDeploy",
     r"\b(?:max_(?:model|seq|input|context)_len(?:gth)?|max_(?:num|total|input)_tokens|session_len)\b"),
    ("vLLM", r"too long (?:and exceeds limit of|to fit into the model)"),
    ("vLLM", r"max_tokens must be at least 1, got -"),
    ("SGLang, Together", r"longer than the model'?s context length"),
    ("SGLang", r"exceeds the maximum allowed (?:input )?length"),
    ("llama.cpp", r"(?:exceeds|larger than) the (?:available|max) context size"),
    ("llama.cpp, LM Studio", r"context size has been exceeded"),
    ("llama.cpp", r"too large to process\W+increase the physical batch size"),
    ("LM Studio", r"greater than the context length"),
    ("LM Studio", r"context length of only"),
    ("LM Studio", r"reached context length of [\d,]+ tokens"),
    ("llama.cpp, LM Studio", r"\bn_ctx\b"),
    ("TGI, TEI", r"`?inputs`? must have less than [\d,]+ tokens"),
    ("TGI", r"`?inputs`? tokens \+ `?max_new_tokens`? must be"),
    ("Ollama", r"prompt too long"),
    ("Ollama", r"input length exceeds (?:the |maximum )*context length"),
    ("Gemini", r"input token count\b.*exceeds the maximum"),
    ("Vertex AI", r"input token count is [\d,]+ but (?:the )?model only supports"),
    ("Anthropic", r"prompt is too long"),
    ("Anthropic", r"input length and `?max_tokens`? exceed context limit"),
    ("Mistral", r"too large for model with [\d,]+ maximum"),
    ("Bedrock", r"input is too long"),
    ("Bedrock", r"too many input tokens|number of input tokens exceeds"),
    ("Bedrock", r"expected maxlength: ?[\d,]+"),
    ("LiteLLM", r"contextwindowexceedederror"),
    ("xAI", r"maximum prompt length is [\d,]+"),
    ("Perplexity", r"total length of all messages is too long"),
    ("Cohere", r"number of tokens in the prompt cannot exceed|too many tokens: size limit"),
    ("Moonshot", r"exceeded model token limit"),
    ("MiniMax", r"context window exceeds limit"),
    ("Zhipu", r"prompt exceeds max length|超长|超过.{0,12}(?:长度|上限)|上下文.{0,10}(?:超|过长)"),
    ("Alibaba", r"range of input length should be"),
    ("Copilot", r"prompt token count of [\d,]+ exceeds the limit"),
    ("NVIDIA", r"tokens in request more than max tokens allowed"),
    ("Databricks, watsonx", r"(?:prompt token count|number of input tokens)\b.*cannot exceed"),
    ("any", r"\b(?:prompts?|inputs?|messages|conversation|chat|sequence|query)\b[^.;:]{0,60}"
            r"\b(?:too (?:long|large|big)|too many tokens)\b"),
    ("any", r"\b(?:exceed\w*|(?:longer|larger|greater|more|bigger) than|beyond|over|above|"
            r"overflow\w*|surpass\w*)\b[^.;]{0,60}\b(?:context|(?:max\w*|model'?s?)[ _](?:\w+[ _])?"
            r"(?:prompt|input|sequence|seq|model)[ _](?:len\w*|size|tokens?|limit))\b"),
    ("any", r"\b(?:prompt|input)\b[^.;]{0,40}\b[\d,]+ tokens\b[^.;]{0,40}\b(?:max\w*|limit|at most|"
            r"up to)\b[^.;]{0,20}\b[\d,]+"),
    ("any", r"\btokens?\b[^.;]{0,40}\b(?:configured|available|model'?s) context (?:length|window|"
            r"size)\b"),
    ("any", r"\bcontext(?: |_)?(?:length|window|size|limit)?\b[^.;]{0,40}\b(?:exceeded|overflow\w*|"
            r"too (?:small|short))\b"),
)  # fmt: skip
"""Who says it, and what no other refusal of theirs says; to be searched for in any case."""

FILTER_CODES = frozenset(
    (
        "content_filter", "content_filter_error", "contentfilter", "content_policy_violation",
        "contentpolicyviolationerror", "responsibleaipolicyviolation", "data_inspection_failed",
        "datainspectionfailed", "invalid_prompt", "prohibited_content", "moderation_blocked",
        "content_moderation", "content_blocked", "sensitive_words_detected", "1301", "1026", "1027",
    )
)  # fmt: skip

FILTER_WORDINGS: tuple[tuple[str, str], ...] = (
    ("Azure", r"content management policy"),
    ("Azure, OpenAI, Anthropic", r"content[ _-]?filter\w*"),
    ("OpenAI", r"flagged (?:as|by|for|in|content)|(?:input|prompt|content|request) was flagged"),
    ("OpenAI", r"(?:rejected|blocked) (?:as a result of|by) (?:our|the) safety system"),
    ("LiteLLM", r"contentpolicyviolationerror|content[ _-]policy(?!_fallback)"),
    ("OpenRouter", r"requires moderation"),
    ("Gemini", r"(?:prompt|request|input|content|response) (?:was |is |has been )?blocked"),
    ("Gemini", r"prohibited[ _]content|blocked_?reason"),
    ("DeepSeek", r"content exists risk"),
    ("Alibaba", r"inappropriate content"),
    (
        "MiniMax, Zhipu, Volcengine",
        r"new_sensitive|sensitive ?(?:words|content|information)|unsafe content|敏感|违规|不安全",
    ),
    ("Moonshot", r"considered high risk"),
    ("Stepfun", r"provided or machine outputted is blocked"),
    ("xAI", r"violat\w+ (?:\w+ ){0,3}(?:usage|content|safety) (?:guidelines|polic)"),
    ("any", r"\b(?:usage|safety|acceptable use) polic(?:y|ies)\b"),
)
"""As those of overflow, for what a provider's filter does not let through."""

_ABOUT_THE_ACCOUNT = re.compile(
    r"\b(?:account|organi[sz]ation|team|tenant|subscription|workspace|project|api[ _]?key)\b"
    r"[^.;]{0,40}?\b(?:(?:is|are|was|has been|have been) (?:\w+ ){0,2}?(?:suspended|disabled|"
    r"deactivated|terminated|banned|blocked|revoked|restricted|overdue|in arrears|inactive)"
    r"|not active|(?:has |is )?expired)\b"
    r"|\bbalance\b[^.;]{0,20}\b(?:too low|insufficient|exhausted|not enough|negative)\b"
    r"|\b(?:insufficient|not enough|out of|no|any) (?:\w+ )?(?:balance|credits?|funds)\b"
    r"|\bcredits?\b[^.;]{0,20}\b(?:exhausted|depleted|used up)\b|\bbilling hard limit\b"
    r"|\barrearage\b|余额不足|欠费",
    re.IGNORECASE,
)
"""What is said of who pays: it holds for every request, whatever its prompt is."""

_ABOUT_RATES = re.compile(
    r"(?i)tokens? per (?:second|min|hour|day|month)|\bTP[MD]\b|rate.?limit|throttl|\bquota\b|"
    r"too many requests|please (?:wait|slow)"
)
"""What is said of a rate, however many tokens it speaks of."""

_ABOUT_THE_ANSWER = re.compile(
    r"(?i)(?:output|completion|generated|new)[ _]tokens\b|\bmax_(?:new_|output_|completion_)?tokens"
)
"""What is said of the longest answer that may be asked for. Where the context is spoken of too, it
is the prompt and the answer together that do not fit."""

_ABOUT_BOTH = re.compile(
    r"(?i)context|\binputs?\b|prompt|messages|got -|max_(?:model|seq)_len|max_total_tokens"
)


def _search(codes: frozenset[str], wordings: tuple[tuple[str, str], ...]) -> re.Pattern[str]:
    names = (rf"\b{code}\b" for code in sorted(codes) if not code.isdecimal())  # in words as well
    return re.compile("|".join((*names, *(f"(?:{sign})" for _, sign in wordings))), re.IGNORECASE)


_overflow = _search(OVERFLOW_CODES, OVERFLOW_WORDINGS)
_filter = _search(FILTER_CODES, FILTER_WORDINGS)


def says_overflow(said: Complaint) -> bool:
    """Whether the prompt, or the prompt and the answer together, exceed the model's context."""
    if said.codes & OVERFLOW_CODES:
        return True
    if _ABOUT_RATES.search(said.text):
        return False
    if _ABOUT_THE_ANSWER.search(said.text) and not _ABOUT_BOTH.search(said.text):
        return False
    return _overflow.search(said.text) is not None


def says_filtered(said: Complaint) -> bool:
    """Whether a provider's filter stopped the prompt."""
    return bool(said.codes & FILTER_CODES) or _filter.search(said.text) is not None


def says_account(said: Complaint) -> bool:
    """Whether it is the account that is refused, and with it every request."""
    return not said.codes & FILTER_CODES and _ABOUT_THE_ACCOUNT.search(said.text) is not None


def says_too_large_for_the_rate(said: Complaint) -> bool:
    """Whether one request exceeds what may be sent in a minute: waiting does not help it."""
    return re.search(r"(?i)request too large|too large for", said.text) is not None and (
        _ABOUT_RATES.search(said.text) is not None
    )
