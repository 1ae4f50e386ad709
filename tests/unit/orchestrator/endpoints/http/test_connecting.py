"""What a connection that failed means for a person, and whether it is tried again."""

import ssl

import aiohttp
import pytest
from aiohttp.client_reqrep import ConnectionKey

from orchestrator.endpoints.http.connecting import censored, failure, wants_credentials
from orchestrator.errors import EndpointError, EndpointRefused, EndpointUnavailable

URL = "http://host/v1/models"
KEY = ConnectionKey("host", 80, False, True, None, None, None)  # type: ignore[call-arg]


@pytest.fixture(autouse=True)
def _no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


def of(error: BaseException, url: str = URL) -> EndpointError:
    return failure(error, url, 60.0, "secret")


def flags(error: EndpointError) -> tuple[bool, bool, bool]:
    assert type(error) is EndpointUnavailable
    return error.timed_out, error.is_doubtful, error.answered


def test_a_server_that_takes_too_long_timed_out() -> None:
    error = of(TimeoutError())
    assert flags(error) == (True, False, False)
    assert str(error) == f"{URL} did not answer within 60 s"


def test_a_connection_that_breaks_off_may_be_this_requests_fault() -> None:
    error = of(aiohttp.ServerDisconnectedError("secret gone"))
    assert flags(error) == (False, True, False)
    assert str(error) == f"{URL} broke off the connection (*** gone)"


def test_where_nothing_listens_nobody_is_there() -> None:
    error = of(aiohttp.ClientConnectorError(KEY, ConnectionRefusedError(111, "no")))
    assert flags(error) == (False, False, False)
    assert "nothing answers at" in str(error) and "(connection refused)" in str(error)


def test_a_proxy_that_refuses_or_is_not_there_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://user:secret@proxy:3128")
    request = aiohttp.RequestInfo(URL, "GET", None, URL)  # type: ignore[arg-type]
    refused = of(aiohttp.ClientHttpProxyError(request, (), status=403, message="secret"))
    assert flags(refused) == (False, False, False)
    assert "the proxy proxy:3128 of $HTTP_PROXY does not let requests through" in str(refused)
    assert "(403 ***)" in str(refused)
    wants = of(aiohttp.ClientHttpProxyError(request, (), status=407, message=""))
    assert type(wants) is EndpointRefused
    assert str(wants) == str(wants_credentials(URL))
    key = ConnectionKey("proxy", 3128, False, True, None, None, None)  # type: ignore[call-arg]
    gone = of(aiohttp.ClientProxyConnectionError(key, ConnectionRefusedError(111, "no")))
    assert flags(gone) == (False, False, False)
    assert "the proxy proxy:3128 of $HTTP_PROXY does not answer" in str(gone)
    other = of(aiohttp.ClientConnectorError(key, ConnectionRefusedError(111, "no")))
    assert "does not answer" in str(other)
    its_own = of(aiohttp.ClientConnectorError(KEY, ConnectionRefusedError(111, "no")))
    assert "nothing answers at" in str(its_own)


def test_the_first_variable_that_is_set_names_the_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("all_proxy", "http://last:1")
    assert "the proxy last:1 of $all_proxy" in str(wants_credentials(URL))
    monkeypatch.setenv("HTTP_PROXY", "http://upper:1")
    assert "the proxy upper:1 of $HTTP_PROXY" in str(wants_credentials(URL))
    monkeypatch.setenv("http_proxy", "http://lower:1")
    assert "the proxy lower:1 of $http_proxy" in str(wants_credentials(URL))
    assert "the proxy last:1 of $all_proxy" in str(wants_credentials("https://host/v1"))


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (aiohttp.InvalidURL("x"), "is not a URL"),
        (aiohttp.NonHttpUrlClientError("x"), "is not a URL"),
        (aiohttp.ClientConnectorSSLError(KEY, OSError(1, "wrong version")), "does not speak TLS"),
        (
            aiohttp.ClientConnectorCertificateError(KEY, ssl.CertificateError("own")),
            "shows a certificate that is not trusted",
        ),
    ],
)
def test_what_no_other_try_can_mend_is_refused(error: BaseException, said: str) -> None:
    found = of(error)
    assert type(found) is EndpointRefused and said in str(found)


def test_a_key_is_never_shown() -> None:
    assert censored("a secret", "secret") == "a ***"
    assert censored(b"a secret", "secret") == b"a ***"
    assert censored("a secret", None) == censored("a secret", "") == "a secret"
