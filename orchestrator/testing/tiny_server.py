"""The embedded models behind a real HTTP server, for trying things out."""

from collections.abc import Iterator
from contextlib import contextmanager

from orchestrator.errors import ServerError


@contextmanager
def tiny_server() -> Iterator[str]:
    """Serve the embedded models on this machine's CPU while the block lasts, and yield the URL.

    The models are those of ``configs/tiny.yaml``: policies ``policy-160k``, ``policy-430k`` and
    ``policy-2m``, PRMs ``prm-qwen`` and ``prm-shepherd``. They need the extra ``tiny``
    (``pip install 'orchard-tts[tiny]'``). Raises ``ServerError`` where the server does not start.
    """
    from servers.tiny.launch import Spec, TinyServerError, serve
    from servers.tiny.shipped import shipped_models

    try:
        with serve(Spec(models=shipped_models())) as (server,):
            yield server.url
    except TinyServerError as error:
        raise ServerError(f"the embedded models did not start: {error.reason}") from error
