"""Whether a server is well, asked over HTTP."""

import httpx


def client(api_key: str | None, *, timeout: float) -> httpx.AsyncClient:
    """A client for servers of this machine: it goes through no proxy."""
    headers = {"Authorization": f"Bearer {api_key}"} if api_key else {}
    return httpx.AsyncClient(headers=headers, timeout=timeout, trust_env=False)


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
