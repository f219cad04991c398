import socket

import pytest

from automate_llm.addresses import METADATA_ADDRESSES, check_address
from automate_llm.exceptions import AddressRefused, ConnectionFailed

from .calling import answering, call, failure, settled

PUBLIC = ["93.184.216.34", "8.8.8.8", "2606:2800:220:1:248:1893:25c8:1946", "64:ff9b::8.8.8.8"]
PRIVATE = [
    "127.0.0.1",
    "127.8.9.10",
    "10.0.0.1",
    "172.16.0.1",
    "172.31.255.255",
    "192.168.1.1",
    "169.254.1.1",
    "100.64.0.1",
    "198.18.0.1",
    "192.0.2.1",
    "240.0.0.1",
    "255.255.255.255",
    "0.1.2.3",
    "::1",
    "fe80::1",
    "fe80::1%eth0",
    "fc00::1",
    "fd12:3456::1",
    "2001:db8::1",
    "::ffff:127.0.0.1",
    "::ffff:10.0.0.1",
    "64:ff9b::10.0.0.1",
    "2002:7f00:1::",
    "2002:a00:1::1",
    "2001:0:4136:e378:8000:63bf:80ff:fffe",
    "::10.0.0.1",
    "::127.0.0.1",
    "::ffff:0:192.168.1.1",
    "64:ff9b:1::10.0.0.1",
    "fec0::1",
]
NO_HOSTS = ["0.0.0.0", "::", "::ffff:0.0.0.0", "224.0.0.1", "::ffff:224.0.0.1", "ff02::1"]
METADATA = [
    *map(str, METADATA_ADDRESSES),
    "::ffff:169.254.169.254",
    "64:ff9b::a9fe:a9fe",
    "2002:a9fe:a9fe::",
    "::ffff:100.100.100.200",
    "::169.254.169.254",
    "::ffff:0:169.254.169.254",
]


@pytest.mark.parametrize("address", PUBLIC)
def test_a_public_address_is_dialled(address):
    assert check_address(address, "shop.example", 443, frozenset())


@pytest.mark.parametrize("address", PRIVATE)
def test_a_private_address_is_refused_unless_its_host_is_listed(address):
    with pytest.raises(AddressRefused, match=r"AUTOMATE\['MCP_PRIVATE_HOSTS'\]"):
        check_address(address, "shop.example", 443, frozenset({"other.example", "shop.example:80"}))

    assert check_address(address, "shop.example", 443, frozenset({"Shop.Example"}))
    assert check_address(address, "SHOP.example", 443, frozenset({"shop.example:443"}))
    assert check_address(address, "shop.example", 443, None)


@pytest.mark.parametrize("address", NO_HOSTS)
@pytest.mark.parametrize("private_hosts", [frozenset(), frozenset({"shop.example"}), None])
def test_an_address_of_no_single_host_is_always_refused(address, private_hosts):
    with pytest.raises(AddressRefused):
        check_address(address, "shop.example", 443, private_hosts)


@pytest.mark.parametrize("address", METADATA)
@pytest.mark.parametrize("private_hosts", [frozenset(), frozenset({"shop.example"}), None])
def test_a_metadata_address_is_always_refused(address, private_hosts):
    with pytest.raises(AddressRefused, match="metadata"):
        check_address(address, "shop.example", 443, private_hosts)


def found(monkeypatch, *addresses):
    """Let every name have these addresses; returns the list of lookups."""
    lookups = []

    def look_up(host, port, *args, **kwargs):
        lookups.append(host)
        families = [socket.AF_INET6 if ":" in each else socket.AF_INET for each in addresses]
        return [
            (family, socket.SOCK_STREAM, 6, "", (each, port))
            for family, each in zip(families, addresses, strict=True)
        ]

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    return lookups


def test_nothing_is_sent_to_a_private_address_that_is_not_listed(raw_server):
    server = raw_server(answering)
    error = failure(settled(server, private_hosts=frozenset({"127.0.0.1:1"})))

    assert isinstance(error, AddressRefused)
    assert not error.may_have_run
    assert server.connections == []


def test_a_listed_host_with_its_port_is_dialled(raw_server):
    server = raw_server(answering)
    connection = settled(server, private_hosts=frozenset({f"127.0.0.1:{server.port}"}))

    assert call(connection).text == "fine"


def test_a_name_is_looked_up_once_and_the_checked_address_is_dialled(raw_server, monkeypatch):
    server = raw_server(answering)
    lookups = found(monkeypatch, "127.0.0.1")
    url = f"http://shop.example:{server.port}/mcp"

    assert call(settled(None, url=url)).text == "fine"
    assert lookups == ["shop.example"]
    assert server.requests[0].headers["host"] == f"shop.example:{server.port}"


@pytest.mark.parametrize(
    ("url", "host"),
    [
        ("http://shop.example/mcp", "shop.example"),
        ("http://shop.example:80/mcp", "shop.example"),
        ("http://SHOP.example:81/mcp", "shop.example:81"),
        ("http://[2001:db8::1]/mcp", "[2001:db8::1]"),
        ("http://[2001:db8::1]:81/mcp", "[2001:db8::1]:81"),
    ],
)
def test_a_server_is_told_its_host_and_any_port_but_the_usual_one(
    raw_server, monkeypatch, url, host
):
    server = raw_server(answering)
    address = (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", server.port))
    monkeypatch.setattr(socket, "getaddrinfo", lambda *args, **kwargs: [address])

    assert call(settled(None, url=url)).text == "fine"
    assert server.requests[0].headers["host"] == host


def test_a_name_that_leads_to_the_metadata_service_is_refused_everywhere(monkeypatch):
    found(monkeypatch, "169.254.169.254", "::ffff:169.254.169.254")
    error = failure(settled(None, url="http://innocent.example/mcp", private_hosts=None))

    assert isinstance(error, AddressRefused)


def test_an_address_out_of_reach_or_refused_is_passed_over(raw_server, monkeypatch):
    server = raw_server(answering)
    found(monkeypatch, "169.254.169.254", "::1", "127.0.0.1")
    url = f"http://shop.example:{server.port}/mcp"

    assert call(settled(None, url=url)).text == "fine"


def test_a_name_without_address_says_so(monkeypatch):
    def look_up(*args, **kwargs):
        raise socket.gaierror(socket.EAI_NONAME, "nope")

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    error = failure(settled(None, url="http://name.invalid/mcp"))

    assert type(error) is ConnectionFailed
    assert str(error).startswith("Connection error: the name 'name.invalid' has no address")


def test_a_refused_connection_says_so():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    error = failure(settled(None, url=f"http://127.0.0.1:{port}/mcp"))

    assert str(error) == (
        f"Connection error: '127.0.0.1' port {port}: connection refused (is the server running?)."
    )
    assert not error.may_have_run
