"""Certificates: a local one that is made once, and the user's own."""

from __future__ import annotations

from pathlib import Path

import pytest
from cryptography import x509

from latentface.errors import InputError, UsageError
from latentface.provenance.certificate import CERTIFICATE, KEY, LOCAL_NAME, find_certificate


@pytest.fixture(autouse=True)
def no_own(own_cache: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in (CERTIFICATE, KEY):
        monkeypatch.delenv(name, raising=False)
    return own_cache


def test_a_local_certificate_is_made_once_and_only_the_user_may_read_it(own_cache: Path) -> None:
    first = find_certificate()
    assert find_certificate() == first and first.algorithm == "es256"
    (path,) = (own_cache / "credentials").iterdir()
    assert path.stat().st_mode & 0o077 == 0
    leaf, root = x509.load_pem_x509_certificates(first.chain)
    leaf.verify_directly_issued_by(root)
    assert LOCAL_NAME in leaf.subject.rfc4514_string() and b"PRIVATE KEY" in first.key


def test_the_users_certificate_goes_before_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import ed25519

    key = ed25519.Ed25519PrivateKey.generate().private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    (tmp_path / "chain.pem").write_bytes(b"a chain")
    (tmp_path / "key.pem").write_bytes(key)
    monkeypatch.setenv(CERTIFICATE, str(tmp_path / "chain.pem"))
    with pytest.raises(UsageError, match="belong together"):
        find_certificate()
    monkeypatch.setenv(KEY, str(tmp_path / "key.pem"))
    assert find_certificate().algorithm == "ed25519" and find_certificate().chain == b"a chain"
    (tmp_path / "key.pem").write_bytes(b"no key")
    with pytest.raises(InputError, match="not a private key"):
        find_certificate()
    monkeypatch.setenv(KEY, str(tmp_path / "none.pem"))
    with pytest.raises(InputError, match="cannot be read"):
        find_certificate()
