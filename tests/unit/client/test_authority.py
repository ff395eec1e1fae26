"""The authority of one run: believed by the child for the indexes' hosts, and for nothing else."""

from __future__ import annotations

import socket
import ssl
import threading
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509

from wheelmark.client.authority import LIFETIME, LocalAuthority


def handshake(server: ssl.SSLContext, client: ssl.SSLContext, host: str) -> None:
    near, far = socket.socketpair()

    def answer() -> None:
        with suppress(OSError, ssl.SSLError), server.wrap_socket(far, server_side=True):
            pass

    thread = threading.Thread(target=answer)
    thread.start()
    try:
        with client.wrap_socket(near, server_hostname=host, suppress_ragged_eofs=True):
            pass
    finally:
        near.close()
        thread.join(10)


def trusting(authority: LocalAuthority) -> ssl.SSLContext:
    context = ssl.create_default_context(cadata=authority.certificate_pem.decode())
    context.verify_flags |= ssl.VERIFY_X509_STRICT  # the default from Python 3.13 on
    return context


@pytest.mark.parametrize("host", ["index.example.org", "localhost", "127.0.0.1", "::1"])
def test_child_accepts_our_answer_under_the_indexs_name(host: str) -> None:
    authority = LocalAuthority([host, "another.example.org"], now=datetime.now(UTC))
    handshake(authority.context(host), trusting(authority), host)


def test_only_who_was_told_of_the_authority_believes_it() -> None:
    authority, other = (LocalAuthority(["localhost"], now=datetime.now(UTC)) for _ in range(2))
    with pytest.raises(ssl.SSLCertVerificationError):
        handshake(authority.context("localhost"), trusting(other), "localhost")


def test_authority_may_not_vouch_for_another_host() -> None:
    authority = LocalAuthority(["index.example.org"], now=datetime.now(UTC))
    stolen = authority._context("bank.example.org")  # what a thief of the key would make
    with pytest.raises(ssl.SSLCertVerificationError, match="permitted subtree"):
        handshake(stolen, trusting(authority), "bank.example.org")
    with pytest.raises(KeyError):
        authority.context("bank.example.org")


def test_authority_without_hosts_vouches_for_none() -> None:
    authority = LocalAuthority([], now=datetime.now(UTC))
    with pytest.raises(ssl.SSLCertVerificationError, match="permitted subtree"):
        handshake(authority._context("index.example.org"), trusting(authority), "index.example.org")


def test_authority_is_short_lived_and_leaves_no_key_on_the_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    now = datetime(2026, 5, 1, tzinfo=UTC)
    authority = LocalAuthority(["localhost"], now=now)
    certificate = x509.load_pem_x509_certificate(authority.certificate_pem)
    assert certificate.not_valid_after_utc == now + LIFETIME
    assert timedelta(days=31) >= LIFETIME
    assert list(tmp_path.iterdir()) == []
