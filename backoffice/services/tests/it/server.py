"""An SMTP server by somebody else (aiosmtpd) for the tests of our client.

Listens on three ports of 127.0.0.1: plain, STARTTLS with a login, TLS from the first byte. The
certificates come from a private authority made here. Says first where it listens, then each mail that
it takes, as lines of JSON, the mail as Python's own parser reads it. Ends with its standard input.

What it does with a mail hangs on the recipient's name: put-off, unknown, refused, cut, cut-late.
"""

import asyncio
import datetime
import email
import email.policy
import functools
import ipaddress
import json
import logging
import ssl
import sys
import tempfile
from pathlib import Path

from aiosmtpd.smtp import SMTP, AuthResult
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec


def certificates(folder):
    """A private authority and a server's certificate for 127.0.0.1 that it signed."""
    now = datetime.datetime.now(datetime.timezone.utc)
    day = datetime.timedelta(days=1)

    def build(name, key, issuer, signer, is_authority):
        subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
        builder = (x509.CertificateBuilder().subject_name(subject).issuer_name(issuer or subject)
                   .public_key(key.public_key()).serial_number(x509.random_serial_number())
                   .not_valid_before(now - day).not_valid_after(now + day)
                   .add_extension(x509.BasicConstraints(is_authority, None), critical=True))
        if not is_authority:
            here = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))
            builder = builder.add_extension(x509.SubjectAlternativeName([here]), critical=False)
        return builder.sign(signer, hashes.SHA256())

    def pem(certificate):
        return certificate.public_bytes(serialization.Encoding.PEM)

    ca_key, key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    ca = build("authority of the test", ca_key, None, ca_key, True)
    own = build("127.0.0.1", key, ca.subject, ca_key, False)
    stranger_key = ec.generate_private_key(ec.SECP256R1())
    stranger = build("another authority", stranger_key, None, stranger_key, True)
    (folder / "own.pem").write_bytes(pem(own) + key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption()))
    (folder / "ca.pem").write_bytes(pem(ca))
    (folder / "stranger.pem").write_bytes(pem(stranger))
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(folder / "own.pem")
    return context


def say(what):
    print(json.dumps(what), flush=True)


class Handler:
    async def handle_RCPT(self, server, session, envelope, address, options):
        name = address.split("@")[0]
        if name == "unknown":
            return f"550 5.1.1 <{address}>: no such person"
        if name == "put-off":
            return "451 4.7.1 come again later"
        if name == "cut":
            server.transport.abort()
            return "421 cut"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server, session, envelope):
        name = envelope.rcpt_tos[0].split("@")[0]
        if name == "refused":
            return "554 5.7.1 we do not like what it says"
        message = email.message_from_bytes(envelope.content, policy=email.policy.default)
        say({
            "from": envelope.mail_from,
            "to": envelope.rcpt_tos,
            "headers": [[name, str(value)] for name, value in message.items()],
            "text": message.get_content(),
            "defects": [str(defect) for defect in message.defects],
            "tls": server.transport.get_extra_info("ssl_object") is not None,
            "login": session.auth_data.decode() if session.authenticated else None,
            "hello": session.host_name,
        })
        if name == "cut-late":
            server.transport.abort()
            return "421 cut"
        return "250 2.0.0 taken"


class Named:
    """The user's name for the record; the password is compared."""

    def __call__(self, server, session, envelope, mechanism, data):
        good = data.login == b"ada" and data.password == b"hunter 2@home"
        return AuthResult(success=good, handled=False, auth_data=data.login)


async def serve(folder):
    context = certificates(folder)
    login = {"authenticator": Named(), "auth_required": True}
    kinds = {
        "plain": ({}, None),
        "starttls": ({"tls_context": context, "require_starttls": True, **login}, None),
        "smtps": ({}, context),
    }
    loop = asyncio.get_running_loop()
    ports = {}
    for name, (options, tls) in kinds.items():
        make = functools.partial(SMTP, Handler(), hostname="127.0.0.1", **options)
        server = await loop.create_server(make, "127.0.0.1", 0, ssl=tls)
        ports[name] = server.sockets[0].getsockname()[1]
    say({"ports": ports, "ca": str(folder / "ca.pem"), "stranger": str(folder / "stranger.pem")})
    await loop.run_in_executor(None, sys.stdin.read)


# What goes wrong with a client is what the tests are about.
logging.disable(logging.CRITICAL)
with tempfile.TemporaryDirectory() as name:
    asyncio.run(serve(Path(name)))
