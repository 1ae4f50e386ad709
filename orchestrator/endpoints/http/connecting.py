"""Why a connection failed: the server's end, a proxy on the way, or this process's own limits."""

import os
from typing import AnyStr
from urllib.parse import urlsplit

import aiohttp

from orchestrator.endpoints.http.open_files import open_files_limit, ran_out_of_files
from orchestrator.errors import (
    EndpointError,
    EndpointRefused,
    EndpointUnavailable,
    TooManyOpenFiles,
)


def censored(said: AnyStr, api_key: str | None) -> AnyStr:
    """What a server said without the key, which some echo in their errors."""
    if not api_key:
        return said
    if isinstance(said, str):
        return said.replace(api_key, "***")
    return said.replace(api_key.encode(), b"***")


def failure(
    error: BaseException, url: str, timeout: float, api_key: str | None = None
) -> EndpointError:
    """What an exception of aiohttp's, or of a connection, says of ``url``; ``timeout`` in s."""
    if ran_out_of_files(error):
        return TooManyOpenFiles(
            f"too many open files to connect to {url}: this process may have {open_files_limit()} "
            "open files; raise the limit, for example with `ulimit -n 65536`",
            url=url,
        )
    if isinstance(error, TimeoutError):
        return EndpointUnavailable(
            f"{url} did not answer within {timeout:g} s", url=url, timed_out=True
        )
    if isinstance(error, aiohttp.InvalidURL | aiohttp.NonHttpUrlClientError):
        return EndpointRefused(
            f"{url!r} is not a URL: write it as http://host:port or https://host", url=url
        )
    if isinstance(error, aiohttp.ClientHttpProxyError):
        if error.status == 407:
            return wants_credentials(url)
        return EndpointUnavailable(
            f"{_proxy(url)} does not let requests through to {url} ({error.status} "
            f"{censored(error.message, api_key)}): {_WAYS_OUT}",
            url=url,
        )
    if isinstance(error, aiohttp.ClientConnectorError) and _is_proxys(error, url):
        return EndpointUnavailable(
            f"{_proxy(url, f'{error.host}:{error.port}')} does not answer "
            f"({_reason(error.os_error)}), and {url} is reached through it: {_WAYS_OUT}",
            url=url,
        )
    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        return EndpointRefused(
            f"{url} shows a certificate that is not trusted ({error.certificate_error}): where it "
            "is signed by an authority of your own, name its certificate in $SSL_CERT_FILE",
            url=url,
        )
    if isinstance(error, aiohttp.ClientConnectorSSLError):
        return EndpointRefused(
            f"{url} does not speak TLS as it should ({_reason(error.os_error)}): if it is a server "
            "of your own, its URL may have to begin with http://",
            url=url,
        )
    if isinstance(error, aiohttp.ClientConnectorError):
        return EndpointUnavailable(
            f"nothing answers at {url} ({_reason(error.os_error)}): is the server running, and "
            "the port right?",
            url=url,
        )
    said = censored(str(error), api_key)  # a header that is none is quoted, whatever it holds
    return EndpointUnavailable(
        f"{url} broke off the connection ({said})",
        url=url,
        is_doubtful=True,  # as engines do that crash at one prompt
    )


def wants_credentials(url: str) -> EndpointRefused:
    """The error of a proxy that answers 407."""
    return EndpointRefused(
        f"{_proxy(url)} wants a user and a password for requests to {url} (407): write them in its "
        "URL, http://USER:PASSWORD@HOST:PORT",
        url=url,
    )


_WAYS_OUT = "is it running? To go without it, name the host in $NO_PROXY"


def _is_proxys(error: aiohttp.ClientConnectorError, url: str) -> bool:
    if isinstance(error, aiohttp.ClientProxyConnectionError):
        return True
    return _variable(url) is not None and error.host not in (urlsplit(url).hostname, None)


def _proxy(url: str, where: str = "") -> str:
    """A proxy as a person knows it, without the password that its URL may hold."""
    variable = _variable(url)
    if not where and variable is not None:
        where = urlsplit(os.environ[variable]).netloc.rpartition("@")[2]
    return f"the proxy{f' {where}' if where else ''}{f' of ${variable}' if variable else ''}"


def _variable(url: str) -> str | None:
    """The environment variable that names the proxy on the way to ``url``."""
    wanted = (f"{urlsplit(url).scheme}_proxy", "all_proxy")
    names = [each for name in wanted for each in (name, name.upper())]
    return next((name for name in names if os.environ.get(name)), None)


def _reason(error: OSError) -> str:
    # asyncio puts its own words and the address, which the URL holds already, in place of these
    if isinstance(error, ConnectionRefusedError):
        return "connection refused"
    return error.strerror or str(error)
