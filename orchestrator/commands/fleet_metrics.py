"""How busy the servers of a fleet are, asked of each."""

import httpx

from orchestrator.endpoints.admission.vllm_metrics import Metrics, parse_metrics


def read_metrics(url: str, *, timeout: float = 2.0) -> Metrics | None:
    """Ask the server at ``url``, which needs no key for this; None where it answers nothing
    that can be read."""
    try:
        with httpx.Client(timeout=timeout, trust_env=False) as http:
            return parse_metrics(http.get(f"{url}/metrics").raise_for_status().content)
    except (httpx.HTTPError, ValueError):
        return None
