"""The certificate authority of one sandbox and the leaf certificate for all the hosts it stands for."""

from __future__ import annotations

import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path

import trustme

from tui.sandbox.daemon import write_private
from tui.sandbox.hosts import HOSTS

_LEAF_DAYS = 397  # the longest life that clients with Apple's and Chromium's rules accept


def prepare(folder: Path) -> tuple[Path, ssl.SSLContext]:
    """Make or load the authority in `folder` and issue a fresh leaf.

    Returns:
        The path of the authority's certificate, which clients are to trust, and the server's context. The
        authority's key is kept with mode 0600 and is never put into a system store; the leaf's key is not kept.
    """
    certificate, key = folder / "ca.pem", folder / "ca.key"
    if key.exists() and certificate.exists():
        authority = trustme.CA.from_pem(certificate.read_bytes(), key.read_bytes())
    else:
        authority = trustme.CA(organization_name="phift-tui sandbox", organization_unit_name="loopback only")
        write_private(key, authority.private_key_pem.bytes())
        write_private(certificate, authority.cert_pem.bytes())
    names = [name for host in HOSTS for name in host.names]
    leaf = authority.issue_cert(*names, not_after=datetime.now(UTC) + timedelta(days=_LEAF_DAYS))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    leaf.configure_cert(context)
    context.set_alpn_protocols(["http/1.1"])
    return certificate, context
