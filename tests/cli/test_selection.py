"""What the options say is what the gateway is asked."""

import click
from click.testing import CliRunner
from twisted.trial.unittest import SynchronousTestCase

from smtpgw.cli.selection import Selection, selector
from smtpgw.model.queue_id import queue_id_text
from smtpgw.service.operator import selector as read_selector


class SelectionTests(SynchronousTestCase):
    """Options and ids."""

    def parse(self, *words: str) -> Selection:
        """The selection of a command line."""
        found: list[Selection] = []

        @click.command()
        @selector
        def verb(selection: Selection) -> None:
            found.append(selection)

        result = CliRunner().invoke(verb, words, catch_exceptions=False)
        if result.exit_code:
            raise click.UsageError(result.output)
        return found[0]

    def test_nothing(self) -> None:
        """Without options everything is meant, and the verb can see that."""
        self.assertTrue(self.parse().is_everything)
        self.assertEqual(self.parse().arguments(), {})

    def test_everything_said(self) -> None:
        """Each option arrives under the name that the gateway reads."""
        selection = self.parse(
            *("--from", "<>", "--to", "a*", "--site", "*.test", "--state", "held", "--older", "2h", "--reason", "no"),
            queue_id_text(77),
        )
        self.assertFalse(selection.is_everything)
        read = read_selector(selection.arguments())
        self.assertEqual((read.ids, read.reverse_path, read.recipient, read.site), ((77,), "<>", "a*", "*.test"))
        self.assertEqual((read.state, read.older_than_seconds, read.reason), ("held", 7200.0, "no"))

    def test_mistakes(self) -> None:
        """What is no id, duration or state is refused with the word."""
        for words in (("nonsense",), ("--older", "soon"), ("--state", "lost")):
            with self.assertRaises(click.UsageError) as caught:
                self.parse(*words)
            self.assertIn(words[-1], str(caught.exception))
