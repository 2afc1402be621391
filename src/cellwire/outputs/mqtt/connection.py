"""Connects to a broker, and says in a sentence why that did not work and what to do."""

import asyncio
import contextlib
import errno
import logging
import os
import re
import socket
import ssl
from collections.abc import AsyncIterator, Callable
from urllib.parse import urlsplit

import aiomqtt
import paho.mqtt.client as paho
from aiomqtt.exceptions import MqttConnectError

from ...gateway.config import MqttSettings
from .topics import OFFLINE, Topics

KEEPALIVE = 20  # seconds; a broker that is silent for twice as long is gone
ANSWER = 10.0  # seconds for the broker to answer anything
GOODBYE = 2.0  # seconds to part from it
PENDING = 64  # messages on their way at the same time at most
V5, V311 = aiomqtt.ProtocolVersion.V5, aiomqtt.ProtocolVersion.V311
PORTS = {"mqtt": 1883, "mqtts": 8883}
PASSWORD = "CELLWIRE_MQTT_PASSWORD"  # noqa: S105

# Reason codes of MQTT 5; those of 3.1.1 come as these.
UNSUPPORTED, BAD_CLIENT, BAD_PASSWORD, NOT_ALLOWED = 132, 133, 134, 135
# What OpenSSL calls certificates that nobody known has signed, that are outdated, and that are made for others.
UNKNOWN_SIGNERS, OUTDATED, OTHER_HOSTS = (2, 18, 19, 20, 21), (9, 10), (62, 64)

# The reasons are said by us; the library would say them again.
quiet = logging.getLogger("cellwire.paho")
quiet.setLevel(logging.CRITICAL)


def has_password(settings: MqttSettings) -> bool:
    """Return whether a broker would be told a password."""
    return bool(settings.password_file or settings.password or os.environ.get(PASSWORD))


class NotReady(Exception):
    """There is nothing to connect with; the text says what to do."""


class _TlsSocket(ssl.SSLSocket):
    """A socket that does not stay open when there is no trust."""

    def do_handshake(self, block: bool = False) -> None:
        try:
            super().do_handshake(block)
        except OSError:
            self.close()
            raise


class Broker:
    """Where the broker is and how to get in."""

    def __init__(self, settings: MqttSettings) -> None:
        parts = urlsplit(settings.url)
        self.settings = settings
        self.host = parts.hostname or ""
        self.secured = parts.scheme == "mqtts"
        self.port = parts.port or PORTS[parts.scheme]
        self.place = f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"
        self.client_id = settings.client_id or "cellwire-" + re.sub(r"[^\w.-]", "-", settings.base, flags=re.ASCII)

    def password(self) -> str:
        """Return the password, "" when there is none; raise NotReady."""
        path = self.settings.password_file
        if path is None:
            return self.settings.password or os.environ.get(PASSWORD, "")
        try:
            return path.read_text(encoding="utf-8").rstrip("\r\n")
        except (OSError, UnicodeDecodeError) as error:
            raise NotReady(f"the password file {path} cannot be read: {_words(error)}; put it right") from None

    def tls(self) -> ssl.SSLContext:
        """Return what checks the broker's certificate and shows ours; raise NotReady."""
        settings = self.settings
        try:
            context = ssl.create_default_context(cafile=settings.ca)
        except OSError as error:
            text = f"ca = {settings.ca} is no PEM certificate that can be read: {_words(error)}"
            raise NotReady(f"{text}; name the file with the certificate of the broker's signer") from None
        context.sslsocket_class = _TlsSocket
        if settings.certificate:
            try:
                # Without a password OpenSSL would ask for it on the terminal.
                context.load_cert_chain(settings.certificate, settings.key, password="")
            except OSError as error:
                files = f"{settings.certificate} and {settings.key or 'its key'}"
                text = f"certificate and key, {files}, cannot be used: {_words(error)}"
                raise NotReady(f"{text}; both have to be PEM, fit each other, and be without a password") from None
        return context

    @contextlib.asynccontextmanager
    async def connected(self, version: aiomqtt.ProtocolVersion) -> AsyncIterator[aiomqtt.Client]:
        """Yield a connection whose will says that this gateway is gone; raise MqttError or NotReady."""
        client = aiomqtt.Client(
            self.host,
            self.port,
            username=self.settings.user or None,
            password=self.password() or None,
            identifier=self.client_id,
            protocol=version,
            will=aiomqtt.Will(Topics(self.settings.base).status, OFFLINE, qos=1, retain=True),
            keepalive=KEEPALIVE,
            timeout=ANSWER,
            tls_context=await asyncio.to_thread(self.tls) if self.secured else None,
            logger=quiet,
        )
        client.pending_calls_threshold = PENDING
        try:
            await _open(client)
        except UnicodeError:
            raise NotReady(f"{self.host} cannot be the name of a host; put the url in [mqtt] right") from None
        try:
            yield client
        finally:
            await _close(client)

    def reason(self, error: Exception) -> str:
        """Return why there is no connection, and what to do."""
        if isinstance(error, NotReady):
            return str(error)
        if isinstance(error, MqttConnectError):
            return self._refusal(error.rc)
        # The library tells the text of the cause only; Python keeps the cause itself. That of an answer that does not
        # come is a TimeoutError, too, but one that says nothing.
        if isinstance(error.__context__, OSError) and error.__context__.args:
            return self._failure(error.__context__)
        hint = "the port is that for TLS, and whether a certificate is wanted" if self.secured else "it wants mqtts://"
        return f"{self.place} took the connection but does not answer as an MQTT broker; look whether {hint}"

    def lost(self, again: bool) -> str:
        """Return why a connection ended; again: soon after it was made, and not for the first time."""
        if again:
            return (
                f"the connection to {self.place} is lost again and again; "
                f"look whether another client has the id {self.client_id}, and at the broker's log"
            )
        return f"the connection to {self.place} was lost; look at the broker and at the network"

    def _refusal(self, code: object) -> str:
        user = self.settings.user
        if code in (BAD_PASSWORD, NOT_ALLOWED):
            if user:
                return (
                    f"the broker {self.place} does not accept user {user} with this password; "
                    "put user and password in [mqtt] right, or make the user known to the broker"
                )
            return f"the broker {self.place} lets only known users in; write user and password_file into [mqtt]"
        if code == UNSUPPORTED:
            version = self.settings.protocol
            return f'the broker {self.place} does not speak MQTT {version}; write protocol = "auto" into [mqtt]'
        if code == BAD_CLIENT:
            return f"the broker {self.place} does not accept the client id {self.client_id}; write another client_id"
        return f"the broker {self.place} does not want this client ({code}); its log tells more"

    def _failure(self, cause: OSError) -> str:
        if isinstance(cause, socket.gaierror):
            return f"there is no host {self.host}; put the url in [mqtt] right, or look at the name server"
        if isinstance(cause, ssl.SSLCertVerificationError):
            return self._distrust(cause)
        if self.secured and isinstance(cause, (ssl.SSLError, ConnectionResetError)):
            text = _words(cause)
            return f"there is no TLS with {self.place} ({text}); take its port for TLS, or write mqtt:// in url"
        if isinstance(cause, ConnectionRefusedError):
            return f"{self.place} refuses the connection; start the broker, or put the port in url right"
        if isinstance(cause, TimeoutError) or cause.errno in (errno.EHOSTUNREACH, errno.ENETUNREACH):
            return f"{self.place} does not answer; look whether it is on, and at cable, network and firewall"
        return f"{self.place} cannot be reached: {_words(cause)}; look at the broker and at the network"

    def _distrust(self, cause: ssl.SSLCertVerificationError) -> str:
        if cause.verify_code in OTHER_HOSTS:
            return (
                f"the certificate of {self.place} is made for another name than {self.host}; "
                "write a name that stands in it into url, or make it anew"
            )
        if cause.verify_code in OUTDATED:
            return f"the certificate of {self.place} is not valid today; renew it, or put the clocks right"
        if cause.verify_code in UNKNOWN_SIGNERS:
            known = f"what is in {self.settings.ca}" if self.settings.ca else "anybody this computer knows"
            return (
                f"the certificate of {self.place} is not signed by {known}; "
                "write the file with the certificate of its signer as ca into [mqtt]"
            )
        return f"the certificate of {self.place} is not good: {cause.verify_message}; make it anew"


def hear(client: aiomqtt.Client, topic: str, take: Callable[[str, bytes, bool, bool], None]) -> None:
    """Hand what comes on a topic, that is still to be subscribed to, over: topic, payload, retained, sent again.

    aiomqtt does not tell of the last.
    """

    def came(_client: paho.Client, _data: object, message: paho.MQTTMessage) -> None:
        take(message.topic, bytes(message.payload), message.retain, message.dup)

    client._client.message_callback_add(topic, came)


async def _open(client: aiomqtt.Client) -> None:
    """Connect; a connection that is there too late is given back."""
    opening = asyncio.create_task(client.__aenter__())
    try:
        await asyncio.shield(opening)
    except asyncio.CancelledError:
        # A thread connects, and cannot be stopped.
        opening.add_done_callback(lambda _: _give_back(opening, client))
        raise
    except aiomqtt.MqttError:
        client._client.disconnect()  # from a broker that took the connection and says nothing
        raise


def _give_back(opening: "asyncio.Task[aiomqtt.Client]", client: aiomqtt.Client) -> None:
    if not opening.cancelled():
        opening.exception()  # nobody wants to know any more
    client._client.disconnect()


async def _close(client: aiomqtt.Client) -> None:
    client.timeout = GOODBYE
    with contextlib.suppress(aiomqtt.MqttError):
        await client.__aexit__(None, None, None)
    if client._disconnected.done():
        client._disconnected.exception()  # else its loss is reported when nobody had waited for it


def _words(error: BaseException) -> str:
    return (error.strerror if isinstance(error, OSError) else None) or str(error)
