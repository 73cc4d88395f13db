"""Tests for :mod:`phpgw.process.socket_activation`."""

import os
import socket

from twisted.internet.protocol import Factory

from phpgw.process.listener import Listener
from phpgw.process.server_endpoint import make_endpoint
from phpgw.settings.option import InvalidOption
from tests.unit.process.test_unix_socket import UnixTestCase


class InheritedSocketTests(UnixTestCase):
    """Sockets from systemd. In these tests, they have any descriptors."""

    def hand_over(self, handed: socket.socket) -> str:
        descriptor = os.dup(handed.fileno())
        return f"systemd:domain=UNIX:index={descriptor - 3}"

    def test_stays_as_it_is(self) -> None:
        made = self.make_socket()
        self.path.chmod(0o600)
        port = self.listen(self.hand_over(made))
        self.visit()
        self.assertEqual(0o600, self.mode())
        self.close(port)
        self.assertEqual(0o600, self.mode())
        # It waits for the next one.
        self.visit()

    def test_address_family(self) -> None:
        """The socket's own family is used, not the one in the endpoint."""
        for family, host in ((socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")):
            with socket.socket(family) as made:
                made.bind((host, 0))
                made.listen(1)
                before = len(self.reactor.adoptedPorts)
                text = self.hand_over(made)
                make_endpoint(self.reactor, text).listen(Factory())
                [(_, adopted, _)] = self.reactor.adoptedPorts[before:]
                self.assertEqual(family, adopted)

    def test_by_name(self) -> None:
        made = self.make_socket()
        number = os.dup(made.fileno()) - 3
        self.patch(os, "environ", {"LISTEN_FDNAMES": "a:" * number + "ours"})
        self.listen("systemd:domain=UNIX:name=ours")
        self.visit()

    def test_none(self) -> None:
        """The error has one line with what is expected."""
        made = self.make_socket(listens=False)
        for text in (
            *("systemd:domain=INET:index=5000", "systemd:index=-1", "systemd:index=x"),
            *("systemd:domain=INET", "systemd:index=0:name=x", "systemd:name=x"),
            *(f"systemd:index={'9' * 5000}", self.hand_over(made), "systemd:0"),
        ):
            error = self.assertRaises(
                InvalidOption, Listener, "listen", text, Factory(), self.reactor
            )
            self.assertEqual(1, len(str(error).splitlines()))
