"""The certificate that nginx shows: one from files, or one of the stack's own."""

from __future__ import annotations

import shutil
import ssl
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from holdfast.errors import ConfigError

DAYS = 365
RENEW_BEFORE_S = 30 * 86_400
# For itself only: not one that could vouch for other certificates, if its key got lost.
_REQUEST = """
[req]
distinguished_name = subject
x509_extensions = extensions
prompt = no
[subject]
CN = Holdfast on this machine
[extensions]
basicConstraints = critical, CA:FALSE
keyUsage = critical, digitalSignature
extendedKeyUsage = serverAuth
subjectAltName = DNS:localhost, IP:127.0.0.1, IP:::1
"""


@dataclass(frozen=True, slots=True)
class Certificate:
    """PEM files: the certificate with its chain, and its key."""

    file: Path
    key: Path

    def check(self) -> None:
        """ConfigError when nginx could not use them."""
        for path, option in ((self.file, "--tls-certificate"), (self.key, "--tls-key")):
            try:
                path.read_bytes()
            except OSError as error:
                raise ConfigError(f"{option} {path}: {error.strerror}") from None
        try:
            # An empty password, so that nobody is asked for one; nginx could not ask either.
            ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(self.file, self.key, "")
        except ssl.SSLError as error:
            reason = (error.reason or "not PEM").lower().replace("_", " ")
            raise ConfigError(
                f"--tls-certificate {self.file} and --tls-key {self.key} don't serve: {reason}"
            ) from None


def own(folder: Path) -> Certificate:
    """A certificate of our own for this machine's names, made once, and again before it ends.

    Raises ConfigError when openssl can't make it.
    """
    certificate = Certificate(folder / "certificate.pem", folder / "key.pem")
    if not _serves(certificate):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        _make(certificate)
    return certificate


def _serves(certificate: Certificate) -> bool:
    """Whether both are there, belong together and last for a while."""
    try:
        certificate.check()
    except ConfigError:
        return False
    lasts = ("x509", "-checkend", str(RENEW_BEFORE_S), "-noout", "-in", str(certificate.file))
    return _openssl(*lasts).returncode == 0


def _make(certificate: Certificate) -> None:
    with tempfile.TemporaryDirectory(dir=certificate.file.parent) as name:
        made = Certificate(Path(name) / "certificate.pem", Path(name) / "key.pem")
        request = Path(name) / "request.conf"
        request.write_text(_REQUEST)
        made.key.touch(mode=0o600)
        done = _openssl(
            *("req", "-x509", "-config", str(request), "-days", str(DAYS), "-noenc"),
            *("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"),
            *("-keyout", str(made.key), "-out", str(made.file)),
        )
        if done.returncode:
            raise ConfigError(f"openssl made no certificate:\n{done.stderr[-2000:]}")
        made.key.replace(certificate.key)
        made.file.replace(certificate.file)


def _openssl(*words: str) -> subprocess.CompletedProcess[str]:
    if shutil.which("openssl") is None:
        raise ConfigError("openssl is missing; run scripts/setup")
    return subprocess.run(["openssl", *words], capture_output=True, text=True, check=False)
