"""What requests are expected to use of a rate limit."""

from orchestrator.endpoints.admission.rate_limits import TokenEstimate

NOTHING = TokenEstimate(0.0, 0.0, 0.0)
NOW = 1_790_000_000.0
"""21 September 2026, in seconds since 1970."""


def exactly(tokens: float) -> TokenEstimate:
    return TokenEstimate(tokens, 0.0, tokens)
