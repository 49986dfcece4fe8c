"""Certificates that vouch for themselves, made anew for each test by the openssl command."""

import shutil
import subprocess
from pathlib import Path

import pytest


def make_certificate(folder: Path, *names: str) -> Path:
    """A file with a key and its certificate for these names (`DNS:localhost`, `IP:::1`), valid now."""
    program = shutil.which("openssl")
    if program is None:
        pytest.skip("certificates need the openssl command")
    key, certificate, both = (folder / name for name in ("key.pem", "certificate.pem", "both.pem"))
    words = ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2"]
    words += ["-subj", "/CN=bench test", "-addext", f"subjectAltName={','.join(names)}"]
    subprocess.run(
        [program, *words, "-keyout", str(key), "-out", str(certificate)], check=True, capture_output=True
    )
    both.write_text(key.read_text() + certificate.read_text())
    return both
