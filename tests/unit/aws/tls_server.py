"""A TLS server on this machine with a certificate for one host, from an authority of the test's own."""

import datetime as dt
import ipaddress
import socket
import ssl
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

HOST: Final = "hooks.example"
PUBLIC: Final = "93.184.216.34"
OK: Final = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nX-Said: yes\r\n\r\nok"

Serve = Callable[[socket.socket], None]


class Certificates:
    """An authority of the test's own, and a certificate for the one host."""

    def __init__(self, folder: Path) -> None:
        self.authority = folder / "authority.pem"
        self.chain = folder / "chain.pem"
        key, authority = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
        root = _certificate("test authority", authority, "test authority", authority, is_authority=True)
        leaf = _certificate(HOST, key, "test authority", authority, is_authority=False)
        self.authority.write_bytes(root.public_bytes(serialization.Encoding.PEM))
        private = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        self.chain.write_bytes(private + leaf.public_bytes(serialization.Encoding.PEM))

    def trusting(self) -> ssl.SSLContext:
        return ssl.create_default_context(cafile=str(self.authority))

    def serving(self) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.chain)
        return context


def _certificate(
    name: str, key: ec.EllipticCurvePrivateKey, issuer: str, signer: ec.EllipticCurvePrivateKey, *, is_authority: bool
) -> x509.Certificate:
    now = dt.datetime.now(dt.UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]))
        .issuer_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, issuer)]))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(hours=1))
        .not_valid_after(now + dt.timedelta(hours=1))
        .add_extension(x509.BasicConstraints(ca=is_authority, path_length=None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()), critical=False)
    )
    if not is_authority:
        names = x509.SubjectAlternativeName([x509.DNSName(name), x509.IPAddress(ipaddress.ip_address(PUBLIC))])
        builder = builder.add_extension(names, critical=False)
    return builder.sign(signer, hashes.SHA256())


class Server:
    """Answers connections with what `serve` does; `heard` is what came, `names` what TLS was asked for."""

    def __init__(self, certificates: Certificates) -> None:
        self.serve: Serve = answering(OK)
        self.heard: list[bytes] = []
        self.names: list[str | None] = []
        self._context = certificates.serving()
        self._context.sni_callback = lambda _socket, name, _context: self.names.append(name)
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listening.getsockname()[1]
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        while True:
            try:
                plain, _ = self._listening.accept()
            except OSError:
                return
            threading.Thread(target=self._one, args=(plain,), daemon=True).start()

    def _one(self, plain: socket.socket) -> None:
        plain.settimeout(10)
        try:
            with self._context.wrap_socket(plain, server_side=True) as connection:
                self.heard.append(whole_request(connection))
                self.serve(connection)
        except OSError:
            return  # the client went away, as some tests make it do

    def close(self) -> None:
        self._listening.close()


def whole_request(connection: socket.socket) -> bytes:
    """One request with its body."""
    data = b""
    while b"\r\n\r\n" not in data:
        data += connection.recv(65_536)
    head, _, body = data.partition(b"\r\n\r\n")
    length = next(int(line.split(b":")[1]) for line in head.split(b"\r\n") if line.startswith(b"content-length"))
    while len(body) < length:
        body += connection.recv(65_536)
    return head + b"\r\n\r\n" + body


def answering(data: bytes) -> Serve:
    return lambda connection: connection.sendall(data)


def dripping(data: bytes, each_seconds: float) -> Serve:
    def serve(connection: socket.socket) -> None:
        for place in range(len(data)):
            connection.sendall(data[place : place + 1])
            time.sleep(each_seconds)

    return serve


def chunked(*chunks: bytes, end: bytes = b"0\r\n\r\n") -> bytes:
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    return head + b"".join(f"{len(one):x}\r\n".encode() + one + b"\r\n" for one in chunks) + end
