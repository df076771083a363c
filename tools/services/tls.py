"""Certificates for tests of TLS, by openssl: an authority and a server's certificate."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from services.service import find_program, run_quietly

TIMEOUT_S = 60.0


@dataclass(frozen=True)
class Certificates:
    """Paths of PEM files."""

    authority: Path
    certificate: Path
    key: Path


def make_certificates(folder, names: tuple[str, ...] = ("DNS:localhost", "IP:127.0.0.1", "IP:::1"),
                      days: int = 30) -> Certificates:
    """names: whom the certificate is for, as openssl's subjectAltName wants them. Each call makes
    an authority of its own: a second one is an authority that the first's clients do not trust."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    openssl = find_program("openssl", "openssl")
    extensions = folder / "extensions.cnf"
    extensions.write_text(f"subjectAltName={','.join(names)}\nbasicConstraints=CA:FALSE\n")
    files = Certificates(folder / "ca.pem", folder / "server.pem", folder / "server-key.pem")
    new_key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    commands = [
        ["req", "-x509", *new_key, "-days", days, "-subj", "/CN=resvd test authority",
         "-addext", "keyUsage=critical,keyCertSign", "-keyout", folder / "ca-key.pem",
         "-out", files.authority],
        ["req", *new_key, "-subj", "/CN=resvd test server", "-keyout", files.key,
         "-out", folder / "server.csr"],
        ["x509", "-req", "-in", folder / "server.csr", "-CA", files.authority,
         "-CAkey", folder / "ca-key.pem", "-CAcreateserial", "-days", days,
         "-extfile", extensions, "-out", files.certificate],
    ]
    for command in commands:
        run_quietly([openssl, *command], "openssl", TIMEOUT_S)
    return files
