"""Certificates for tests, made with openssl: authorities, and what they sign."""

import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import pytest

_SECONDS = 20
_DAYS = "2"


@dataclass(frozen=True)
class Pair:
    """A certificate and its key, as PEM files.

    Attributes:
        certificate: The certificate.
        key: Its key, PKCS #8 and not encrypted.
    """

    certificate: Path
    key: Path

    def together(self) -> Path:
        """One file with both, as a keystore of Kafka's type PEM."""
        file = self.key.with_suffix(".keystore.pem")
        file.write_text(self.key.read_text() + self.certificate.read_text())
        return file

    def encrypted_key(self, password: str) -> Path:
        """A copy of the key that this password opens."""
        file = self.key.with_suffix(".encrypted.key")
        _openssl("pkcs8", "-topk8", "-v2", "aes-256-cbc", "-in", self.key, "-out", file,
                 "-passout", f"pass:{password}")  # fmt: skip
        return file


class Authority:
    """Signs certificates.

    Attributes:
        own: Its own certificate, which others trust.
    """

    def __init__(self, own: Pair) -> None:
        self.own = own

    @classmethod
    def create(cls, folder: Path, name: str) -> Self:
        """A new authority, with its files in a folder."""
        own = Pair(folder / f"{name}.pem", folder / f"{name}.key")
        _openssl("req", "-x509", *_new_key(own.key), "-subj", f"/CN={name}", "-days", _DAYS,
                 "-addext", "keyUsage=critical,keyCertSign,cRLSign",
                 "-out", own.certificate)  # fmt: skip
        return cls(own)

    def sign(self, name: str, *alternatives: str) -> Pair:
        """A new certificate for a name, and for alternative names such as ``IP:127.0.0.1``."""
        signed = Pair(
            self.own.certificate.with_name(f"{name}.pem"),
            self.own.certificate.with_name(f"{name}.key"),
        )
        request = signed.certificate.with_suffix(".csr")
        extensions = signed.certificate.with_suffix(".ext")
        extensions.write_text(
            "basicConstraints=critical,CA:FALSE\n"
            "subjectKeyIdentifier=hash\n"
            "authorityKeyIdentifier=keyid\n"
            + (f"subjectAltName={','.join(alternatives)}\n" if alternatives else "")
        )
        _openssl("req", "-new", *_new_key(signed.key), "-subj", f"/CN={name}", "-out", request)
        _openssl("x509", "-req", "-in", request, "-CA", self.own.certificate,
                 "-CAkey", self.own.key, "-CAcreateserial", "-days", _DAYS,
                 "-extfile", extensions, "-out", signed.certificate)  # fmt: skip
        return signed


def _new_key(file: Path) -> tuple[str | Path, ...]:
    curve = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1")
    return (*curve, "-nodes", "-keyout", file)


def _openssl(*arguments: str | Path) -> None:
    program = shutil.which("openssl")
    if program is None:
        pytest.skip("openssl is not installed")
    done = subprocess.run(  # noqa: S603  # the openssl that was found, no shell
        [program, *arguments], capture_output=True, text=True, timeout=_SECONDS, check=False
    )
    assert done.returncode == 0, done.stderr
