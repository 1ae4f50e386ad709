"""Whether a server is well, asked over HTTP."""

import httpx

_TIMEOUT_S = 5.0


def client(api_key: str | None) -> httpx.AsyncClient:
    """A client for servers of this machine: it goes through no proxy."""
    headers = {"Authorization": f"Bearer {api_key}"} if api_key else {}
    return httpx.AsyncClient(headers=headers, timeout=_TIMEOUT_S, trust_env=False)


async def is_healthy(http: httpx.AsyncClient, url: str) -> bool:
    """Whether ``/health`` answers 200: the server listens and its engine lives."""
    try:
        return (await http.get(f"{url}/health")).status_code == httpx.codes.OK
    except httpx.HTTPError:
        return False


async def serves(http: httpx.AsyncClient, url: str, model: str) -> bool:
    """Whether ``/v1/models`` lists the model, with the fleet's key."""
    try:
        response = await http.get(f"{url}/v1/models")
        return model in [entry["id"] for entry in response.raise_for_status().json()["data"]]
    except (httpx.HTTPError, ValueError, LookupError, TypeError):
        return False
