"""The certificate of nginx: our own is made once and kept secret, others are checked."""

from __future__ import annotations

import ssl
import subprocess

import pytest

from holdfast.errors import ConfigError
from stack import certificate
from stack.certificate import Certificate, own


def test_our_own_is_made_once_and_only_its_owner_can_read_the_key(tmp_path):
    first = own(tmp_path / "tls")
    assert first.key.stat().st_mode & 0o777 == 0o600
    made = first.file.read_bytes(), first.key.read_bytes()
    assert own(tmp_path / "tls") == first
    assert (first.file.read_bytes(), first.key.read_bytes()) == made
    assert sorted(file.name for file in (tmp_path / "tls").iterdir()) == [
        "certificate.pem",
        "key.pem",
    ]


def test_our_own_vouches_for_this_machine_and_for_no_other_certificate(tmp_path):
    made = own(tmp_path)
    told = subprocess.run(
        ["openssl", "x509", "-in", made.file, "-noout", "-ext", "subjectAltName,basicConstraints"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    for name in ("DNS:localhost", "IP Address:127.0.0.1", "IP Address:0:0:0:0:0:0:0:1", "CA:FALSE"):
        assert name in told
    assert ssl.create_default_context(cafile=made.file).get_ca_certs() == []


@pytest.mark.parametrize("broken", ["gone", "another's", "ends soon"])
def test_our_own_is_made_again_when_it_would_not_serve(tmp_path, monkeypatch, broken):
    made = own(tmp_path / "tls")
    before = made.file.read_bytes()
    if broken == "gone":
        made.key.unlink()
    elif broken == "another's":
        made.key.write_bytes(own(tmp_path / "other").key.read_bytes())
    else:
        monkeypatch.setattr(certificate, "RENEW_BEFORE_S", (certificate.DAYS + 1) * 86_400)
    own(tmp_path / "tls").check()
    assert made.file.read_bytes() != before
    assert made.key.stat().st_mode & 0o777 == 0o600


def _locked(tmp_path, made):
    """The key behind a password."""
    locked = tmp_path / "locked.pem"
    subprocess.run(
        ["openssl", "pkey", "-in", made.key, "-aes256", "-passout", "pass:x", "-out", locked],
        check=True,
    )
    return locked


def test_files_that_nginx_could_not_use_are_named(tmp_path):
    made, other = own(tmp_path / "one"), own(tmp_path / "two")
    nothing = tmp_path / "nothing.pem"
    text = tmp_path / "text.pem"
    text.write_text("hello")
    Certificate(made.file, made.key).check()
    for file, key, words in (
        (nothing, made.key, "--tls-certificate .*nothing.pem: No such file"),
        (made.file, nothing, "--tls-key .*nothing.pem: No such file"),
        (tmp_path, made.key, "--tls-certificate .*: Is a directory"),
        (made.file, other.key, "key values mismatch"),
        (text, made.key, "text.pem"),
        (made.file, text, "text.pem"),
        (made.file, _locked(tmp_path, made), "locked.pem"),
    ):
        with pytest.raises(ConfigError, match=words):
            Certificate(file, key).check()
