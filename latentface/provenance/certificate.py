"""The certificate that results are signed with: the user's own, or one made here on first use.

LATENTFACE_CERTIFICATE and LATENTFACE_KEY name the PEM files of the user's chain and private key. Without them, a root
and a certificate are made once and kept in the cache folder; nobody vouches for those, so verifiers call them
untrusted. They name no person, and neither do the results that they sign.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import TYPE_CHECKING

from latentface.errors import InputError, UsageError
from latentface.io.atomic import atomic_path
from latentface.pretrained import cache

if TYPE_CHECKING:
    from cryptography import x509
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
    from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes

CERTIFICATE, KEY = "LATENTFACE_CERTIFICATE", "LATENTFACE_KEY"
#: What a local certificate calls itself.
LOCAL_NAME = "latentface local certificate (untrusted)"
_ORGANISATION = "latentface"
_VALID = timedelta(days=3650)
_END_OF_KEY = b"-----END PRIVATE KEY-----\n"


@dataclass(frozen=True)
class Certificate:
    """A chain and a private key, both PEM, and the algorithm of their signatures by its C2PA name."""

    chain: bytes
    key: bytes
    algorithm: str


def find_certificate() -> Certificate:
    """The user's certificate, or the local one, which is made if there is none yet.

    Raises:
        UsageError: only one of the two variables is set.
        InputError: a file cannot be read, or the key is of a kind that C2PA does not have.
        OutputError: the local certificate cannot be written.
    """
    paths = os.environ.get(CERTIFICATE), os.environ.get(KEY)
    if all(paths):
        chain, key = (_read(Path(str(path))) for path in paths)
        return Certificate(chain, key, _algorithm(key, str(paths[1])))
    if any(paths):
        raise UsageError(f"{CERTIFICATE} and {KEY} belong together; set both, or neither for a local certificate")
    path = cache.folder() / "credentials" / "local.pem"
    if not path.is_file():
        _make(path)
    key, end, chain = _read(path).partition(_END_OF_KEY)
    return Certificate(chain, key + end, "es256")


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}); give a readable PEM file") from None


def _algorithm(key: bytes, name: str) -> str:
    """The name in C2PA of the signatures that a private key makes."""
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    try:
        loaded: PrivateKeyTypes = load_pem_private_key(key, password=None)
    except (ValueError, TypeError) as error:
        raise InputError(f"{name}: not a private key in PEM without a password ({error}); give such a file") from None
    if isinstance(loaded, ec.EllipticCurvePrivateKey) and loaded.key_size in (256, 384, 521):
        return {256: "es256", 384: "es384", 521: "es512"}[loaded.key_size]
    if isinstance(loaded, rsa.RSAPrivateKey):
        return "ps256"
    if isinstance(loaded, ed25519.Ed25519PrivateKey):
        return "ed25519"
    raise InputError(f"{name}: this kind of key cannot sign Content Credentials; use ECDSA, RSA or Ed25519")


def _make(path: Path) -> None:
    """Write a new key, its certificate and the root that signs it into one file that only the user can read."""
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    root_key, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    root = _certificate("latentface local root (untrusted)", root_key, None, root_key)
    leaf = _certificate(LOCAL_NAME, key, root, root_key)
    pem = serialization.Encoding.PEM
    secret = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_path(path) as temporary:
        temporary.touch(mode=0o600)
        temporary.write_bytes(secret + leaf.public_bytes(pem) + root.public_bytes(pem))


def _certificate(
    name: str, key: EllipticCurvePrivateKey, root: x509.Certificate | None, root_key: EllipticCurvePrivateKey
) -> x509.Certificate:
    """A certificate for a key by the C2PA profile: a root if none is given, else one to sign files with."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes
    from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

    subject = x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, _ORGANISATION),
            x509.NameAttribute(NameOID.COMMON_NAME, name),
        ]
    )
    is_root, now = root is None, datetime.now(timezone.utc)
    uses = dict.fromkeys(
        ("content_commitment", "key_encipherment", "data_encipherment", "key_agreement", "encipher_only"), False
    )
    usage = x509.KeyUsage(
        digital_signature=not is_root, key_cert_sign=is_root, crl_sign=is_root, decipher_only=False, **uses
    )
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject if root is None else root.subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + _VALID)
        .add_extension(x509.BasicConstraints(is_root, 0 if is_root else None), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )
    if not is_root:
        issuer = x509.AuthorityKeyIdentifier.from_issuer_public_key(root_key.public_key())
        signer = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.EMAIL_PROTECTION])
        builder = builder.add_extension(signer, critical=False).add_extension(issuer, critical=False)
    return builder.sign(root_key, hashes.SHA256())
