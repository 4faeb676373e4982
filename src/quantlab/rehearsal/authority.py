"""A throwaway certificate authority for `--tls`, made with the `openssl` command."""

from __future__ import annotations

import re
import shutil
import ssl
import subprocess
from pathlib import Path
from typing import Final

from quantlab.rehearsal.server import EXIT_REFUSED, ServeRefused
from quantlab.storage.durable import OsDisk, make_folders, replace_file

AUTHORITY: Final = "authority.pem"
SERVER: Final = "server.pem"
DAYS: Final = "30"
OPENSSL_SECONDS: Final = 30

_PEM: Final = re.compile(rb"-----BEGIN ([A-Z ]+)-----.+?-----END \1-----\n", re.DOTALL)

_CONFIG: Final = b"""[req]
distinguished_name = name
prompt = no
[name]
CN = QuantLab rehearsal throwaway authority
[authority]
basicConstraints = critical, CA:TRUE
keyUsage = critical, keyCertSign, cRLSign
subjectKeyIdentifier = hash
[server]
basicConstraints = critical, CA:FALSE
keyUsage = critical, digitalSignature, keyEncipherment
extendedKeyUsage = serverAuth
subjectAltName = IP:127.0.0.1, DNS:localhost
subjectKeyIdentifier = hash
authorityKeyIdentifier = keyid
"""


def make_authority(folder: Path) -> ssl.SSLContext:
    """Make an authority and a server certificate for loopback, and load the latter.

    Args:
        folder: Where `authority.pem` (to be trusted by clients) is left.

    Raises:
        ServeRefused: the `openssl` command is missing or fails.
    """
    command = shutil.which("openssl")
    if command is None:
        message = "--tls needs the openssl command, which is not installed"
        raise ServeRefused(message, EXIT_REFUSED)
    disk = OsDisk()
    make_folders(disk, folder)
    config = folder / "openssl.cnf"
    replace_file(disk, config, _CONFIG)
    request = [command, "req", "-config", str(config), "-newkey", "rsa:2048", "-nodes"]
    request += ["-keyout", "/dev/stdout"]
    made = _run([*request, "-x509", "-days", DAYS, "-extensions", "authority"], b"")
    replace_file(disk, folder / AUTHORITY, _pem(made, b"CERTIFICATE"))
    replace_file(disk, folder / "authority.key", _pem(made, b"PRIVATE KEY"))
    asked = _run([*request, "-subj", "/CN=localhost"], b"")
    signed = _run(
        [
            command, "x509", "-req", "-days", DAYS, "-set_serial", "2", "-sha256",
            "-CA", str(folder / AUTHORITY), "-CAkey", str(folder / "authority.key"),
            "-extfile", str(config), "-extensions", "server",
        ],
        _pem(asked, b"CERTIFICATE REQUEST"),
    )  # fmt: skip
    chain = _pem(signed, b"CERTIFICATE") + _pem(asked, b"PRIVATE KEY")
    replace_file(disk, folder / SERVER, chain)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / SERVER)
    return context


def _run(command: list[str], given: bytes) -> bytes:
    try:
        done = subprocess.run(  # noqa: S603  a fixed command, found on PATH by its name
            command, input=given, capture_output=True, check=True, timeout=OPENSSL_SECONDS
        )
    except (OSError, subprocess.SubprocessError) as error:
        raise ServeRefused(f"openssl failed: {error}", EXIT_REFUSED) from error
    return done.stdout


def _pem(text: bytes, label: bytes) -> bytes:
    """Return the first PEM block whose label ends in `label` exactly."""
    for match in _PEM.finditer(text):
        if match.group(1) == label:
            return match.group(0)
    raise ServeRefused(f"openssl printed no {label.decode()}", EXIT_REFUSED)
