"""Computing in FLOPs, as the paper counts it (Table 4; Kaplan et al. 2020)."""


def inference_flops(parameters: int, *, prefill_tokens: float, decode_tokens: float) -> float:
    """A forward pass takes two operations a parameter and token, whether the token is read or
    written; ``parameters`` are the active ones. Tokens that a prefix cache held take none."""
    return 2.0 * parameters * (prefill_tokens + decode_tokens)


def training_flops(parameters: int, tokens: float) -> float:
    """Pre-training: six operations a parameter and token."""
    return 6.0 * parameters * tokens
