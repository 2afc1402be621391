"""The simulated air of the tests: Bluetooth controllers on one link, one for each program that connects by TCP.

python localair.py PORT     also gives the Linux kernel a controller (hci_vhci), and says READY
"""

import asyncio
import contextlib
import logging
import signal
import sys
from typing import Any

from bumble import hci, ll
from bumble.controller import Controller
from bumble.core import BaseBumbleError, PhysicalTransport
from bumble.link import LocalLink
from bumble.transport import open_transport
from bumble.transport.common import StreamPacketSink, StreamPacketSource

ADAPTER = "AA:BB:CC:00:00:01"
log = logging.getLogger("air")

SUPERVISION = 1.0  # seconds after which a peer notices that the other one is gone


class Air(LocalLink):
    """One room: every controller hears every other one."""

    def send_acl_data(
        self, sender_controller: Controller, destination_address: hci.Address, transport: PhysicalTransport, data: bytes
    ) -> None:
        """Pass on data under the address that the connection was made with; bumble takes the random one always."""
        connection = sender_controller.le_connections.get(destination_address)
        target = self.find_le_controller(destination_address)
        if connection is None or target is None:
            return
        asyncio.get_running_loop().call_soon(target.on_link_acl_data, connection.self_address, transport, data)

    def send_ll_control_pdu(
        self, sender_address: hci.Address, receiver_address: hci.Address, packet: ll.ControlPdu
    ) -> None:
        """Pass on what controllers say to each other; to one that is gone it is lost."""
        with contextlib.suppress(BaseBumbleError):
            super().send_ll_control_pdu(sender_address, receiver_address, packet)

    def drop(self) -> None:
        """Break all connections, as when something comes in between."""
        for controller in list(self.controllers):
            for connection in list(controller.le_connections.values()):
                controller.on_le_disconnected(connection, hci.HCI_CONNECTION_TIMEOUT_ERROR)

    async def serve(self, port: int = 0) -> asyncio.Server:
        """Give every client of a TCP port a controller of its own, for as long as it stays."""
        return await asyncio.get_running_loop().create_server(lambda: _Client(self), "127.0.0.1", port)


class AirController(Controller):
    """A controller that does what bumble's leaves out: reset, and giving up a connection that is being made."""

    def on_le_connect_ind(self, packet: ll.ConnectInd) -> None:
        """Be connected to, where that is meant."""
        before = len(self.le_connections)
        super().on_le_connect_ind(packet)
        if len(self.le_connections) > before:
            log.info("connected: %s", packet.advertiser_address)

    def on_hci_reset_command(self, command: Any) -> Any:
        """Forget everything."""
        self.silence()
        for connection in list(self.le_connections.values()):
            connection.send_ll_control_pdu(ll.TerminateInd(hci.HCI_REMOTE_USER_TERMINATED_CONNECTION_ERROR))
        self.le_connections.clear()
        return super().on_hci_reset_command(command)

    def on_hci_le_create_connection_cancel_command(self, command: Any) -> Any:
        """Say that the connection was not made."""
        pending, self.pending_le_connection = self.pending_le_connection, None
        if pending is not None:
            asyncio.get_running_loop().call_soon(self._give_up, pending)
        return super().on_hci_le_create_connection_cancel_command(command)

    def _give_up(self, pending: Any) -> None:
        self.send_hci_packet(
            hci.HCI_LE_Connection_Complete_Event(
                status=hci.HCI_UNKNOWN_CONNECTION_IDENTIFIER_ERROR,
                connection_handle=0,
                role=hci.Role.CENTRAL,
                peer_address_type=pending.peer_address_type,
                peer_address=pending.peer_address,
                connection_interval=0,
                peripheral_latency=0,
                supervision_timeout=0,
                central_clock_accuracy=0,
            )
        )

    def silence(self) -> None:
        """Advertise, scan and connect no more."""
        self.le_legacy_advertiser.stop()
        for advertised in self.advertising_sets.values():
            advertised.stop()
        self.advertising_sets.clear()
        self.le_scan_enable = False
        self.pending_le_connection = None

    def vanish(self) -> None:
        """Be gone, as when the battery is taken out: peers find out after a while."""
        self.silence()
        loop = asyncio.get_running_loop()
        for connection in self.le_connections.values():
            gone = ll.TerminateInd(hci.HCI_CONNECTION_TIMEOUT_ERROR)
            loop.call_later(
                SUPERVISION, self.link.send_ll_control_pdu, connection.self_address, connection.peer_address, gone
            )
        self.le_connections.clear()
        self.link.remove_controller(self)


class _Client(StreamPacketSource):
    def __init__(self, air: Air) -> None:
        super().__init__()
        self.air = air
        self.controller: AirController | None = None

    def connection_made(self, transport: Any) -> None:
        self.controller = AirController("client", self, StreamPacketSink(transport), self.air)

    def connection_lost(self, _: Exception | None) -> None:
        if self.controller is not None:
            self.controller.vanish()


async def main(port: int) -> None:
    """Give the kernel an adapter, and let others onto its air until the kernel is gone."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    air = Air()  # type: ignore[no-untyped-call]
    async with await open_transport("vhci") as kernel:
        address = hci.Address(ADAPTER, hci.Address.PUBLIC_DEVICE_ADDRESS)
        adapter = AirController("adapter", kernel.source, kernel.sink, air, address)
        # bumble offers these and answers with the plain event of a connection, which the kernel does not take then.
        adapter.le_features &= ~(hci.LeFeatureMask.LL_PRIVACY | hci.LeFeatureMask.LE_EXTENDED_ADVERTISING)
        asyncio.get_running_loop().add_signal_handler(signal.SIGUSR1, air.drop)
        async with await air.serve(port):
            print("READY", flush=True)
            await kernel.source.terminated


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1])))
