"""What the machine and earlier answers offer, and the client leaves alone; and TLS."""

import json
import threading

import pytest

from automate_llm import http
from automate_llm.exceptions import ConnectionFailed
from tests.servers import tls
from tests.servers.raw import head

from .calling import answer_to, answering, call, failure, settled

JSON = {"Content-Type": "application/json"}


@pytest.mark.parametrize("lower", [True, False])
def test_proxies_of_the_environment_are_not_used(raw_server, monkeypatch, lower):
    proxy = raw_server(answering)
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name.lower() if lower else name, f"http://127.0.0.1:{proxy.port}")
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)

    assert call(settled(raw_server(answering))).text == "fine"
    assert proxy.connections == []


@pytest.mark.parametrize("headers", [{}, {"Authorization": "Bearer ours-and-nothing-else"}])
def test_the_netrc_file_is_not_read(raw_server, monkeypatch, tmp_path, headers):
    netrc = tmp_path / ".netrc"
    netrc.write_text("machine 127.0.0.1 login anna password pa55word\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    monkeypatch.setenv("HOME", str(tmp_path))
    server = raw_server(answering)
    call(settled(server, headers=headers))

    assert server.requests[0].headers.get("authorization") == headers.get("Authorization")


def test_a_cookie_is_never_sent_back(raw_server):
    def script(connection):
        while True:
            seen = connection.read_request()
            connection.respond(answer_to(seen), headers={"Set-Cookie": "session=anna; Path=/"})

    server = raw_server(script)
    connection = settled(server)
    for _ in range(3):
        call(connection)

    assert [seen.headers.get("cookie") for seen in server.requests] == [None] * 3


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    """A file with a self-signed certificate for 127.0.0.1 and its key."""
    return tls.certificate(tmp_path_factory.mktemp("tls") / "both.pem")


@pytest.fixture
def tls_server(raw_server, certificate):
    """Start servers that speak raw bytes inside TLS."""
    return tls.inside_tls(raw_server, certificate)


@pytest.fixture
def trusted(certificate, monkeypatch):
    """The machine trusts the certificate."""
    monkeypatch.setenv("SSL_CERT_FILE", certificate)
    monkeypatch.setattr(http._shared, "tls", None)


def test_a_certificate_that_nobody_vouches_for_is_refused_and_nothing_is_sent(tls_server):
    server = tls_server(answering)
    error = failure(settled(server, headers={"X-API-Key": "t0ken-t0ken"}))

    assert type(error) is ConnectionFailed
    assert "certificate does not hold" in str(error)
    assert not error.may_have_run
    assert server.requests == []


@pytest.mark.parametrize("name", ["REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"])
def test_variables_of_other_programs_do_not_vouch_for_it(
    tls_server, certificate, monkeypatch, name
):
    monkeypatch.setenv(name, certificate)

    assert "certificate does not hold" in str(failure(settled(tls_server(answering))))


def test_a_trusted_server_is_called_and_its_connection_kept(tls_server, trusted):
    server = tls_server(answering)
    connection = settled(server)
    for _ in range(3):
        assert call(connection).text == "fine"

    assert len(server.connections) == 1


def test_a_certificate_for_another_name_is_refused(tls_server, trusted):
    server = tls_server(answering)
    url = server.url.replace("127.0.0.1", "localhost")
    error = failure(settled(server, url=url))

    assert "certificate does not hold" in str(error)
    assert server.requests == []


def test_a_server_that_speaks_no_tls_is_refused(raw_server):
    server = raw_server(lambda connection: connection.send(b"HTTP/1.1 200 OK\r\n\r\n" * 10))
    error = failure(settled(None, url=server.url.replace("http:", "https:")))

    assert str(error) == "Connection error: no TLS connection could be made."
    assert not error.may_have_run


@pytest.mark.parametrize("end", ["close", "garbage"])
def test_a_tls_connection_that_breaks_after_the_request_leaves_it_open_what_ran(
    tls_server, trusted, end
):
    def script(connection):
        connection.read_request()
        if end == "garbage":
            raw = connection._socket
            raw._sslobj, ssl_object = None, raw._sslobj  # below TLS
            connection.send(b"\x17\x03\x03\x00\x20" + b"x" * 32)
            raw._sslobj = ssl_object

    error = failure(settled(tls_server(script)))

    assert type(error) is ConnectionFailed
    assert error.may_have_run


@pytest.mark.parametrize("form", ["one write", "two writes"])
def test_surplus_bytes_inside_tls_cost_the_connection(tls_server, trusted, form):
    surplus = b"x" * 40_000
    sent = threading.Semaphore(0)

    def script(connection):
        answer = json.dumps(answer_to(connection.read_request())).encode()
        whole = head(headers={**JSON, "Content-Length": str(len(answer))}) + answer
        try:  # the connection may be closed as soon as the surplus is seen
            for piece in [whole + surplus] if form == "one write" else [whole, surplus]:
                connection.send(piece)
        finally:
            sent.release()
        connection.wait_for_end()

    server = tls_server(script)
    connection = settled(server)
    for _ in range(2):
        assert call(connection).text == "fine"
        assert sent.acquire(timeout=5)  # what comes later than the next request, no look can see

    assert len(server.connections) == 2
