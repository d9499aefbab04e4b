"""TLS against a real server: authorities, self-signed certificates, names, client certificates, and what is refused."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest
import trustme
from cryptography.hazmat.primitives import serialization

from durableq.store.address import check_url, connector
from durableq.store.link import Link
from durableq.store.opening import calls_on, open_link, open_patiently
from durableq.words.errors import ConfigError, RedisRefused
from durableq.words.telemetry import get_log
from tests.servers import RealServer
from tests.tls import Secured, secured

SOON_S = 10.0
Ask = Callable[[str], Awaitable[object]]


@pytest.fixture
def server(start_server: Callable[..., RealServer], tmp_path: Path) -> Secured:
    return secured(start_server, tmp_path)


@pytest.fixture
async def said() -> AsyncIterator[Ask]:
    """What the server of a URL answers to ECHO."""
    links: list[Link] = []

    async def ask(url: str) -> object:
        link = Link(connector(url, "test"))
        links.append(link)
        # More than one TLS record each way.
        return await link.within(SOON_S, link.command("ECHO", "x" * 100_000))

    yield ask
    for link in links:
        await link.close()


HEARD = b"x" * 100_000


async def test_a_named_authority_is_trusted(server: Secured, said: Ask) -> None:
    assert await said(server.url(f"ssl_ca_certs={server.authority}")) == HEARD


@pytest.mark.parametrize("spelling", ["none", "NONE", "CERT_NONE", "ssl.CERT_NONE"])
async def test_a_self_signed_certificate_is_accepted_in_every_spelling_of_none(
    server: Secured, said: Ask, spelling: str
) -> None:
    assert await said(server.url(f"ssl_cert_reqs={spelling}")) == HEARD


@pytest.mark.parametrize(
    "spelling", ["", "ssl_cert_reqs=required", "ssl_cert_reqs=CERT_REQUIRED", "ssl_cert_reqs=optional"]
)
async def test_without_that_it_is_refused_with_the_remedy(server: Secured, said: Ask, spelling: str) -> None:
    with pytest.raises(RedisRefused, match=r"cannot be verified .*\?ssl_ca_certs=.* or add \?ssl_cert_reqs=none"):
        await said(server.url(spelling))


async def test_the_host_is_compared_with_the_certificate(server: Secured, said: Ask) -> None:
    trusted = f"ssl_ca_certs={server.authority}"
    with pytest.raises(RedisRefused, match=r"Write the host that it was made for, or add \?ssl_check_hostname=false"):
        await said(server.url(trusted, host="127.0.0.1"))
    assert await said(server.url(f"{trusted}&ssl_check_hostname=false", host="127.0.0.1")) == HEARD


async def test_a_server_that_asks_for_a_certificate_gets_ours(
    start_server: Callable[..., RealServer], tmp_path: Path, said: Ask
) -> None:
    server = secured(start_server, tmp_path, tls_auth_clients="yes")
    trusted = f"ssl_ca_certs={server.authority}"
    assert await said(server.url(f"{trusted}&ssl_certfile={server.client}&ssl_min_version=TLSv1.3")) == HEARD
    with pytest.raises(RedisRefused, match=r"add \?ssl_certfile=.*&ssl_keyfile="):
        await said(server.url(trusted))


async def test_no_tls_where_there_is_nothing_else_is_refused_with_the_remedy(server: Secured) -> None:
    url = f"redis://localhost:{server.port}"
    link = open_link(url, "test")
    try:
        async with asyncio.timeout(SOON_S):
            with pytest.raises(RedisRefused, match="the server speaks TLS: write rediss:// instead of redis://"):
                await open_patiently(calls_on(link, "default"), url, get_log())
    finally:
        await link.close()


@pytest.mark.parametrize(
    ("query", "rule"),
    [
        ("ssl_cert_reqs=maybe", "must be required, optional or none (or CERT_REQUIRED, CERT_OPTIONAL, CERT_NONE)"),
        ("ssl_cert_reqs=", "not ''"),
        ("ssl_check_hostname=perhaps", "ssl_check_hostname must be true or false, not 'perhaps'"),
        ("ssl_check_hostname=true&ssl_cert_reqs=none", "that ssl_cert_reqs=none does not look at"),
        ("ssl_min_version=1.1", "ssl_min_version must be TLSv1.2 or TLSv1.3, not '1.1'"),
        ("ssl_ciphers=NONE-OF-THESE", "ssl_ciphers 'NONE-OF-THESE' does not serve"),
        ("ssl_verify=none", "ssl_verify is not known; there are ssl_cert_reqs, ssl_ca_certs"),
        ("ssl_ca_certs=", "ssl_ca_certs is empty"),
        ("ssl_ca_certs=/nowhere/ca.pem", "ssl_ca_certs '/nowhere/ca.pem' cannot be read: No such file"),
        ("ssl_ca_data=rubbish", "ssl_ca_data does not serve"),
        ("ssl_certfile=/nowhere/c.pem", "ssl_certfile '/nowhere/c.pem' cannot be read"),
        ("ssl_keyfile=/nowhere/k.pem", "add ssl_certfile"),
    ],
)
def test_an_option_that_breaks_a_rule_is_refused_when_the_url_is_read(query: str, rule: str) -> None:
    with pytest.raises(ConfigError) as refused:
        check_url(f"rediss://host?{query}")
    assert rule in str(refused.value)


def test_a_file_without_certificates_is_refused(tmp_path: Path) -> None:
    empty = tmp_path / "ca.pem"
    empty.write_text("nothing")
    with pytest.raises(ConfigError, match="does not serve"):
        check_url(f"rediss://host?ssl_ca_certs={empty}")
    with pytest.raises(ConfigError, match="does not serve"):
        check_url(f"rediss://host?ssl_certfile={empty}")


def test_a_key_with_a_passphrase_is_refused_and_not_asked_for(tmp_path: Path) -> None:
    issued = trustme.CA().issue_cert("client")
    certificate, key = tmp_path / "c.pem", tmp_path / "k.pem"
    certificate.write_bytes(issued.cert_chain_pems[0].bytes())
    loaded = serialization.load_pem_private_key(issued.private_key_pem.bytes(), None)
    key.write_bytes(
        loaded.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.BestAvailableEncryption(b"sesame"),
        )
    )
    with pytest.raises(ConfigError, match="the key of ssl_certfile has a passphrase"):
        check_url(f"rediss://host?ssl_certfile={certificate}&ssl_keyfile={key}")


@pytest.mark.parametrize(
    "url", ["redis://host?ssl_cert_reqs=none", "unix:///s?ssl_ca_certs=x", "valkey://h?ssl_ciphers=x"]
)
def test_an_option_of_tls_without_tls_is_refused(url: str) -> None:
    with pytest.raises(ConfigError, match="is an option of TLS: write rediss:// or leave it out"):
        check_url(url)


async def test_other_options_of_the_url_stay(server: Secured) -> None:
    link = Link(connector(server.url("ssl_cert_reqs=none&db=3"), "named"))
    listed = await link.within(SOON_S, link.command("CLIENT", "LIST"))
    await link.close()
    assert b"name=durableq:named" in listed
    assert b" db=3 " in listed
