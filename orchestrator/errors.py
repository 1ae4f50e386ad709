"""Every error Orchard raises on purpose, each with what to do about it in its message.

::

    OrchardError
    ├── ConfigError              a config, option or name that cannot be right
    ├── TaskError                problems that cannot be loaded or read
    ├── ProfileError             a profile that cannot be measured, read or used here
    ├── RunError                 a run directory that cannot be read, written or continued
    │   └── OtherConfig          it holds results that this config would not give
    ├── ServerError              a local server that did not start
    ├── OutputError              stdout or stderr takes no more text
    ├── BudgetExhausted          a limit of the budget was reached; the tree answers all the same
    └── EndpointError            anything an endpoint did
        ├── EndpointUnavailable  no answer after every retry: refused, timed out, 429, 5xx
        │   ├── RateLimited      a rate limit that outlasts what the run waits for
        │   └── TooManyOpenFiles     this process may open no more connections
        ├── EndpointRefused      wrong key, wrong model, malformed request: ends the run at once
        ├── BadResponse          an answer that is not what the API promises
        ├── ContextOverflow      a prompt beyond the model's context: ends one branch
        ├── ContentFiltered      a prompt a provider's filter stops: ends one branch
        └── PromptRefused        a prompt the server refuses, this one alone: ends one branch
"""

from orchestrator.plain_text import plain


class OrchardError(Exception):
    """Base of all errors. The message says what is wrong and what to do about it."""


class ConfigError(OrchardError):
    """A config, option or name that cannot be right.

    ``keys`` lead to it from the outermost section inwards, as far as they are known.
    """

    def __init__(self, message: str, keys: tuple[str | int, ...] = ()) -> None:
        super().__init__(message)
        self.keys = keys


class TaskError(OrchardError):
    """Problems that cannot be loaded or parsed."""


class ProfileError(OrchardError):
    """A profile that cannot be measured, read or used for this run."""


class RunError(OrchardError):
    """A run directory that cannot be read, written or continued."""


class OtherConfig(RunError):
    """A run directory holds results of another config.

    ``changes`` lists the keys that differ, one per line: ``seed: 0 → 4``.
    """

    def __init__(self, message: str, changes: tuple[str, ...]) -> None:
        super().__init__(message)
        self.changes = changes


class ServerError(OrchardError):
    """A local server that did not start."""


class OutputError(OrchardError):
    """Stdout or stderr takes no more text, on a full disk for example."""


class BudgetExhausted(OrchardError):
    """A limit of the budget was reached.

    ``limit`` names what ran out (``policy_tokens`` …), ``allowed`` says how much there was.
    """

    def __init__(self, limit: str, allowed: float, scope: str) -> None:
        amount = f"${allowed:g}" if limit == "cost" else f"{allowed:g} {limit.replace('_', ' ')}"
        super().__init__(f"the {scope} budget of {amount} is used up")
        self.limit = limit
        self.allowed = allowed
        self.scope = scope


class EndpointError(OrchardError):
    """An endpoint failed.

    ``endpoint`` is its name in the config; once known, it leads the message. ``prompt_tokens``,
    ``cached_tokens`` and ``written_tokens`` count answers that were billed but could not be used.
    """

    def __init__(self, message: str, *, url: str) -> None:
        super().__init__(plain(message))  # a server may say anything
        self.message = plain(message)
        self.url = url
        self.endpoint = ""
        self.prompt_tokens = 0
        self.cached_tokens = 0
        self.written_tokens = 0

    def __str__(self) -> str:
        return f"{self.endpoint}: {self.message}" if self.endpoint else self.message


class EndpointUnavailable(EndpointError):
    """No answer, or a 408, 429 or 5xx.

    - ``answered``: the server answered with an HTTP ``status``; ``timed_out``: it took too long.
    - ``retry_after``: the seconds that the server asks to wait, if it says so; infinite for a
      ``limit`` (``requests per day``) that will not end soon, at an unknown time.
    - ``is_doubtful``: the server is up, and may fail at this request alone.
    - ``is_final``: all retries are used up.
    """

    def __init__(
        self,
        message: str,
        *,
        url: str,
        answered: bool = False,
        status: int | None = None,
        timed_out: bool = False,
        retry_after: float | None = None,
        limit: str | None = None,
        is_doubtful: bool = False,
        is_final: bool = False,
    ) -> None:
        super().__init__(message, url=url)
        self.answered = answered
        self.status = status
        self.timed_out = timed_out
        self.retry_after = retry_after
        self.limit = limit
        self.is_doubtful = is_doubtful
        self.is_final = is_final


class RateLimited(EndpointUnavailable):
    """A rate limit that outlasts the endpoint's patience.

    The run stops and can be resumed later; trees under way do not count as finished.
    """

    def __init__(
        self, message: str, *, url: str, retry_after: float | None = None, limit: str | None = None
    ) -> None:
        super().__init__(
            message,
            url=url,
            answered=True,
            status=429,
            retry_after=retry_after,
            limit=limit,
            is_final=True,
        )


class TooManyOpenFiles(EndpointUnavailable):
    """This process may open no more files, and so no connection."""


class EndpointRefused(EndpointError):
    """Wrong key, wrong model or malformed request: retrying cannot help.

    ``says`` is the server's reason if it may concern the text of this request alone; its answers to
    other requests tell. ``names_cause``: the reason names something else, such as the key or a
    parameter.
    """

    def __init__(
        self, message: str, *, url: str, says: str | None = None, names_cause: bool = False
    ) -> None:
        super().__init__(message, url=url)
        self.says = says
        self.names_cause = names_cause


class BadResponse(EndpointError):
    """A response that breaks the API: HTML, no choices, a missing score, a truncated text.

    ``is_doubtful`` and ``is_final`` are as in ``EndpointUnavailable``.
    """

    def __init__(
        self, message: str, *, url: str, is_doubtful: bool = True, is_final: bool = False
    ) -> None:
        super().__init__(message, url=url)
        self.is_doubtful = is_doubtful
        self.is_final = is_final

    @property
    def is_alone(self) -> bool:
        """Whether only this request is answered badly each time, while others like it are fine."""
        return self.is_final and self.is_doubtful


class ContextOverflow(EndpointError):
    """A prompt beyond the model's context."""


class ContentFiltered(EndpointError):
    """A prompt that the provider's content filter blocks."""


class PromptRefused(EndpointError):
    """A prompt that the server refuses for its text, while it takes others."""


CONCERNS_THE_RUN = (EndpointRefused, RateLimited)
"""Errors that every other branch and tree would meet too."""
