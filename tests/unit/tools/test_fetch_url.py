"""Which addresses fetch_url may read: decided before anything is connected."""

from __future__ import annotations

from ipaddress import ip_address

import pytest

from streamchat.chat.events import ToolResult
from streamchat.tools.builtin import builtin_tools, fetch_url
from streamchat.tools.builtin.fetch_url import fetch_url_tool
from streamchat.tools.ssrf_guard import Address, is_public, is_public_name
from tests.unit.tools.running import result_of


def only_loopback(address: Address) -> bool:
    """The policy of these tests: the server that they run, and nothing else."""
    return str(address) == "127.0.0.1"


async def fetch(url: str, allowed=only_loopback, **more) -> ToolResult:
    return await result_of(fetch_url_tool(allowed, **more), {"url": url})


async def refused(url: str, allowed=is_public, **more) -> str:
    result = await fetch(url, allowed, **more)
    assert (result.state, result.result) == ("error", None)
    assert result.error
    assert "\n" not in result.error
    return result.error


async def test_it_asks_before_it_fetches() -> None:
    """A page can be told who asks for it, and what: the person decides."""
    assert {tool.name: tool.approve for tool in builtin_tools()}["fetch_url"] is True
    assert fetch_url.fetch_url_tool().approve


# Where it may not go

PRIVATE = [
    "127.0.0.1", "127.1.2.3", "10.0.0.1", "172.16.0.1", "172.31.255.255", "192.168.1.1", "169.254.169.254",
    "100.64.0.1",
    "100.127.255.255", "0.0.0.0", "0.1.2.3", "224.0.0.1", "239.255.255.250", "240.0.0.1", "255.255.255.255",
    "192.0.0.1",
    "192.0.2.1", "198.18.0.1", "198.51.100.1", "203.0.113.1", "::1", "::", "::ffff:127.0.0.1", "::ffff:10.0.0.1",
    "::ffff:169.254.169.254", "::ffff:100.64.0.1", "::127.0.0.1", "fe80::1", "fe80::1%eth0", "fec0::1", "fc00::1",
    "fd00:ec2::254", "ff02::1", "2002:7f00:1::", "2002:0a00:0001::1", "64:ff9b::7f00:1", "64:ff9b:1::a00:1",
    "2001:0:7f00:1::", "2001:db8::1",
    # Clouds' own services, and ranges that older versions of Python take for public.
    "168.63.129.16", "192.0.0.192", "192.0.0.8", "192.0.0.9", "192.88.99.1", "192.31.196.1", "192.52.193.1",
    "192.175.48.1",
    "100.100.100.200", "::ffff:168.63.129.16", "::ffff:192.0.0.192", "3fff::1", "3fff:fff:ffff::1", "3ffe::1",
    "2001:1::1", "2001:2::1", "2001:4:112::1", "2001:20::1", "2620:4f:8000::1", "5f00::1", "100::1", "fd20:ce::254",
    # IPv4 within IPv6: translated, 6to4, Teredo, ISATAP.
    "::ffff:0:7f00:1", "64:ff9b::a9fe:a9fe", "2002:a9fe:a9fe::", "2a00:1450:1::5efe:7f00:1",
    "2a00:1450:1::200:5efe:a00:1",
]  # fmt: skip
PUBLIC = ["1.1.1.1", "93.184.215.14", "172.32.0.1", "100.128.0.1", "2606:4700:4700::1111", "::ffff:1.1.1.1"]


@pytest.mark.parametrize("address", PRIVATE)
def test_addresses_that_are_not_public(address: str) -> None:
    """Loopback, private, link-local, shared, multicast, reserved, unspecified, and what hides one of them."""
    assert not is_public(ip_address(address))


@pytest.mark.parametrize("address", PUBLIC)
def test_addresses_that_are(address: str) -> None:
    """The internet."""
    assert is_public(ip_address(address))


NAMES = [
    "metadata.google.internal", "METADATA.google.internal.", "metadata", "metadata.goog", "x.metadata.goog",
    "localhost",
    "a.localhost", "instance-data", "instance-data.ec2.internal", "printer.local", "router.lan", "nas.home.arpa",
    "wiki.corp", "metadata.tencentyun.com",
]  # fmt: skip


@pytest.mark.parametrize("host", NAMES)
async def test_names_of_the_local_network_are_not_looked_up(host: str) -> None:
    """Nor those of clouds' metadata services, even if a name server has a public address for them."""
    lookups: list[str] = []

    async def resolve(host: str, port: int) -> list[str]:
        lookups.append(host)
        return ["1.1.1.1"]

    assert "not a public address" in await refused(f"http://{host}/", resolve=resolve)
    assert lookups == []


@pytest.mark.parametrize(
    "host", ["example.org", "internal.example.org", "localhost.example.org", "notlocal", "xlocal.de"]
)
def test_names_that_only_resemble_them(host: str) -> None:
    """A name counts by its end, not by any part of it."""
    assert is_public_name(host)


@pytest.mark.parametrize(
    "url",
    [
        "file:///etc/passwd", "gopher://127.0.0.1:70/", "ftp://example.org/", "data:text/plain,x",
        "javascript:alert(1)",
        "http://user@example.org/", "http://user:pass@example.org/", "http://1.1.1.1@127.0.0.1/", "http://",
        "http:///x",
        "//example.org", "example.org", "", "http://[::1", "http://exa mple.org", "http://a\x00b/",
        "http://" + "a" * 5000,
        "http://xn--/", "http://\ud83d.org/", "unix:///var/run/docker.sock", "http+unix://x/",
    ],
)  # fmt: skip
async def test_other_schemes_and_tricks_are_refused(url: str) -> None:
    """With a sentence, without a connection."""

    async def nowhere(host: str, port: int) -> list[str]:
        raise OSError("no look-up in this test")

    try:
        url.encode()
    except UnicodeEncodeError:
        assert (await result_of(fetch_url_tool(), {"url": url})).state == "invalid"
        return
    await refused(url, resolve=nowhere)
