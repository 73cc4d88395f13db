"""Tests for :mod:`phpgw.process.machine_id`."""

from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from phpgw.process import machine_id as room
from phpgw.process.machine_id import machine_id


class MachineIdTests(SynchronousTestCase):
    def test_same_machine(self) -> None:
        self.assertTrue(machine_id())
        self.assertEqual(machine_id(), machine_id())

    def test_container(self) -> None:
        """A container on the same machine has an id of its own."""
        before = machine_id()
        namespace = Path(self.mktemp())
        namespace.symlink_to("pid:[1]")
        self.patch(room, "_NAMESPACE", namespace)
        self.assertNotEqual(before, machine_id())

    def test_unknown(self) -> None:
        self.patch(room, "_BOOT_ID", Path("/no/such/file"))
        self.assertEqual("", machine_id())
