"""Certificates for tests: an authority, and a certificate for 127.0.0.1 that it signed."""

from __future__ import annotations

from pathlib import Path

from tests.support.token_server import openssl


class Authority:
    """`ca` signed `certificate`, whose key is `key`: paths of PEM files."""

    def __init__(self, directory: Path) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self.ca = directory / "ca.pem"
        self.certificate = directory / "certificate.pem"
        self.key = directory / "key.pem"
        ca_key = directory / "ca-key.pem"
        openssl(
            *("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=test"),
            *("-addext", "basicConstraints=critical,CA:TRUE"),
            *("-addext", "keyUsage=critical,keyCertSign"),
            *("-keyout", str(ca_key), "-out", str(self.ca)),
        )
        request = directory / "request.pem"
        openssl(
            *("req", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=127.0.0.1"),
            *("-keyout", str(self.key), "-out", str(request)),
        )
        extensions = directory / "extensions"
        extensions.write_text(
            "subjectAltName=IP:127.0.0.1\nextendedKeyUsage=serverAuth,clientAuth\n"
        )
        openssl(
            *("x509", "-req", "-in", str(request), "-CA", str(self.ca), "-CAkey", str(ca_key)),
            *("-CAcreateserial", "-days", "2", "-extfile", str(extensions)),
            *("-out", str(self.certificate)),
        )
