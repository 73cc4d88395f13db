"""Tests for :mod:`phpgw.process.script_user`."""

import os
import pwd

from twisted.trial.unittest import SynchronousTestCase

from phpgw.process.script_user import find_script_user


class ScriptUserTests(SynchronousTestCase):
    def test_named(self) -> None:
        name = pwd.getpwuid(os.getuid()).pw_name
        self.assertEqual(name, find_script_user(name).pw_name)
        error = self.assertRaises(LookupError, find_script_user, "no-such-user")
        self.assertEqual("there is no user no-such-user", str(error))

    def test_usual(self) -> None:
        """It is www-data, and nobody where there is none."""
        entry = pwd.getpwuid(os.getuid())

        def only(known: str) -> None:
            def find(name: str) -> pwd.struct_passwd:
                if name != known:
                    raise KeyError(name)
                return entry

            self.patch(pwd, "getpwnam", find)

        for known in ("www-data", "nobody"):
            only(known)
            self.assertIs(entry, find_script_user(None))
        only("other")
        self.assertIn(
            "www-data or nobody", str(self.assertRaises(LookupError, find_script_user, None))
        )
