"""The error that a server's answer is read as."""

from orchestrator.endpoints.transport.refusals import refusal
from orchestrator.errors import EndpointError


def read(status: int, content: bytes) -> EndpointError:
    return refusal(status, content, url="http://host/v1/chat/completions", model="m")
