"""Debian's nginx with the configuration in `deploy/`: only addresses, ports and paths differ."""

import datetime as dt
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.support.debian import require_program
from tests.support.patience import PATIENCE

FOLDER = Path(__file__).parents[2] / "deploy" / "nginx"
_MAIN = """
pid {folder}/nginx.pid;
error_log {folder}/error.log;
daemon off;
worker_processes 1;
events {{}}
http {{
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    include {folder}/conf.d/*.conf;
}}
"""


def write_configuration(folder: Path, upstream: str, *, port: int, relays: Sequence[int]) -> Path:
    """Write the configuration for a port of loopback, with a certificate. Return its main file."""
    (folder / "conf.d").mkdir(parents=True)
    (folder / "log").mkdir()
    addresses = ("127.0.0.1:8080",) if len(relays) == 1 else ("relay-1:8080", "relay-2:8080")
    changes = {
        "/etc/nginx/tls/": f"{folder}/",
        "/var/log/nginx/": f"{folder}/log/",
        "listen 443 ssl": f"listen 127.0.0.1:{port} ssl",
    } | {old: f"127.0.0.1:{relay}" for old, relay in zip(addresses, relays, strict=True)}
    texts = {name: (FOLDER / name).read_text() for name in (upstream, "relay.conf")}
    for old, new in changes.items():
        assert any(old in text for text in texts.values()), old
        texts = {name: text.replace(old, new) for name, text in texts.items()}
    for name, text in texts.items():
        (folder / "conf.d" / name).write_text(text)
    _write_certificate(folder)
    (folder / "nginx.conf").write_text(_MAIN.format(folder=folder))
    return folder / "nginx.conf"


def _write_certificate(folder: Path) -> None:
    """Write a certificate for 127.0.0.1 that signs itself."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = dt.datetime.now(dt.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    (folder / "privkey.pem").write_bytes(private)
    (folder / "fullchain.pem").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))


def check_configuration(main: Path) -> None:
    """Run `nginx -t`. Fails with what nginx says."""
    line = [require_program("nginx", package="nginx"), "-t", "-e", "stderr", "-c", str(main)]
    done = subprocess.run(line, capture_output=True, text=True, timeout=PATIENCE, check=False)  # noqa: S603
    assert done.returncode == 0, done.stderr
    assert "warn" not in done.stderr


@contextmanager
def running_nginx(main: Path) -> Iterator[None]:
    """Run nginx during the block."""
    line = [require_program("nginx", package="nginx"), "-e", "stderr", "-c", str(main)]
    process = subprocess.Popen(line, stderr=subprocess.DEVNULL)  # noqa: S603
    try:
        yield
    finally:
        process.terminate()
        process.wait(PATIENCE)
