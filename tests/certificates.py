"""A certificate for 127.0.0.1 and the authority that signed it: made anew for each test."""

from __future__ import annotations

import datetime
import ipaddress
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

DAY = datetime.timedelta(days=1)


@dataclass(frozen=True)
class Certificates:
    """Files in PEM. both: the server's key and its certificates, as Kafka wants them."""

    authority: Path
    certificate: Path
    key: Path
    both: Path


def make(folder: Path) -> Certificates:
    now = datetime.datetime.now(datetime.UTC)
    root_key, key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    root_name, name = (
        x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)]) for text in ("test CA", "test")
    )

    def signed(subject: x509.Name, public_key: ec.EllipticCurvePublicKey, *, ca: bool) -> bytes:
        builder = x509.CertificateBuilder(
            root_name, subject, public_key, x509.random_serial_number()
        )
        builder = builder.not_valid_before(now - DAY).not_valid_after(now + DAY)
        builder = builder.add_extension(x509.BasicConstraints(ca=ca, path_length=None), True)
        address = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))
        builder = builder.add_extension(x509.SubjectAlternativeName([address]), False)
        return builder.sign(root_key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)

    secret = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    root = signed(root_name, root_key.public_key(), ca=True)
    own = signed(name, key.public_key(), ca=False)
    made = Certificates(*(folder / name for name in ("ca.pem", "cert.pem", "key.pem", "both.pem")))
    made.authority.write_bytes(root)
    made.certificate.write_bytes(own)
    made.key.write_bytes(secret)
    made.both.write_bytes(secret + own + root)
    return made
