"""What ``package.module:name`` names."""

import os.path

from twisted.trial.unittest import SynchronousTestCase

from smtpgw.handlers.target import TargetError, load_target


class TargetTests(SynchronousTestCase):
    """Loaded, or one line that says why not."""

    def test_found(self) -> None:
        """A name, and an attribute of one."""
        self.assertIs(load_target("os.path:join"), os.path.join)
        self.assertEqual(load_target("os:path.join"), os.path.join)

    def test_wrong(self) -> None:
        """No such thing, or nothing that can be called."""
        for target, words in (
            ("os.path", "not of the form"),
            ("os:", "not of the form"),
            ("no_such_module_here:x", "no module"),
            ("os:nothing", "has no 'nothing'"),
            ("os:sep", "can't be called"),
        ):
            self.assertIn(words, str(self.assertRaises(TargetError, load_target, target)))
