"""A Redis that speaks nothing but TLS, with an authority, a certificate for localhost, and one for a client."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import trustme

from tests.servers import RealServer, free_port


@dataclass(frozen=True)
class Secured:
    """A server that speaks nothing but TLS, and the files of its authority and of a client."""

    port: int
    authority: Path
    client: Path

    def url(self, query: str = "", host: str = "localhost") -> str:
        return f"rediss://{host}:{self.port}" + (f"?{query}" if query else "")


def secured(start_server: Callable[..., RealServer], directory: Path, **settings: str) -> Secured:
    """Start one, for the name localhost."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(directory / "ca.pem"))
    authority.issue_cert("localhost").private_key_and_cert_chain_pem.write_to_path(str(directory / "server.pem"))
    authority.issue_cert("client").private_key_and_cert_chain_pem.write_to_path(str(directory / "client.pem"))
    port = free_port()
    start_server(
        "redis7",
        tls_port=str(port),
        tls_cert_file=str(directory / "server.pem"),
        tls_key_file=str(directory / "server.pem"),
        tls_ca_cert_file=str(directory / "ca.pem"),
        **{"tls_auth_clients": "no", **settings},
    )
    return Secured(port, directory / "ca.pem", directory / "client.pem")
