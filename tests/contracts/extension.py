"""What every SMTP service extension promises."""

from typing import Any

from smtpgw.model.reply import Reply
from smtpgw.smtp.events import Event
from smtpgw.smtp.extension import ChunkAnnounced, Extension, Facts, MailFields, RcptFields
from smtpgw.smtp.extensions.catalogue import EXTENSIONS
from tests.smtp.fakes import CoreDriver

_GARBAGE = (None, "", "0", "-1", "x", "é", "9" * 30, "a\x85b", "=", "8BITMIME")


class ExtensionContract:
    """
    Mix in before ``SynchronousTestCase``, and give the extension and the facts under which it is offered.

    :ivar offered: facts with which the extension is offered.
    """

    extension: Extension
    offered: Facts = Facts(message_size=1000, tls_available=True, mechanisms=("PLAIN",))
    assertEqual: Any  # noqa: N815
    assertIn: Any  # noqa: N815
    assertNotIn: Any  # noqa: N815
    assertIsInstance: Any  # noqa: N815
    assertRegex: Any  # noqa: N815

    def test_is_in_the_catalogue(self) -> None:
        """It is offered to clients: one line in the catalogue."""
        self.assertIn(type(self.extension), [type(extension) for extension in EXTENSIONS])

    def test_keyword(self) -> None:
        """Its keyword is one, and the line in the reply to EHLO starts with it (RFC 5321 section 4.1.1.1)."""
        self.assertRegex(self.extension.keyword, r"\A[A-Z0-9][A-Z0-9-]*\Z")
        line = self.extension.offer(self.offered)
        assert line is not None
        self.assertEqual(line.split(" ")[0], self.extension.keyword)
        self.assertRegex(line, r"\A[!-~]+( [!-~]+)*\Z")

    def test_in_ehlo(self) -> None:
        """A client that says EHLO sees the line; one that says HELO does not."""
        line = self.extension.offer(self.offered)
        assert line is not None
        driver = CoreDriver(facts=_copy(self.offered))
        self.assertIn(line.encode(), [said[4:] for said in driver.feed(b"EHLO c.example\r\n").splitlines()])
        self.assertNotIn(line.encode(), CoreDriver(facts=_copy(self.offered)).feed(b"HELO c.example\r\n"))

    def test_parameters(self) -> None:
        """Whatever value a parameter has, it is taken or refused with a 5xx; nothing is raised."""
        for keyword in self.extension.mail_parameters:
            for value in _GARBAGE:
                _check_reply(self, self.extension.mail_parameter(keyword, value, MailFields(), _copy(self.offered)))
        for keyword in self.extension.rcpt_parameters:
            for value in _GARBAGE:
                _check_reply(self, self.extension.rcpt_parameter(keyword, value, RcptFields(), _copy(self.offered)))

    def test_commands(self) -> None:
        """Whatever stands behind its verbs, there is a reply or an event; nothing is raised."""
        for verb in self.extension.verbs:
            for value in _GARBAGE:
                argument = (value or "").encode("utf-8")
                for facts in (_copy(self.offered), Facts(), Facts(tls_active=True, is_authenticated=True)):
                    result = self.extension.command(verb, argument, facts)
                    if isinstance(result, Reply):
                        _check_reply(self, result)
                    else:
                        self.assertIsInstance(result, Event | ChunkAnnounced)

    def test_parameters_without_ehlo(self) -> None:
        """What was not offered is not known: after HELO every parameter gets 555 5.5.4."""
        for keyword in self.extension.mail_parameters:
            driver = CoreDriver(facts=_copy(self.offered))
            driver.feed(b"HELO c.example\r\n")
            self.assertEqual(driver.feed(b"MAIL FROM:<> %s=1\r\n" % keyword.encode())[:10], b"555 5.5.4 ")

    def test_twice(self) -> None:
        """A parameter that is given twice is refused."""
        for keyword in self.extension.mail_parameters:
            driver = CoreDriver(facts=_copy(self.offered))
            driver.feed(b"EHLO c.example\r\n")
            said = driver.feed(b"MAIL FROM:<> %s %s\r\n" % ((self.proper(keyword).encode(),) * 2))
            self.assertEqual(said[:10], b"501 5.5.4 ")

    def proper(self, keyword: str) -> str:
        """The parameter as a client would write it."""
        return keyword


def _copy(facts: Facts) -> Facts:
    return Facts(*(getattr(facts, name) for name in facts.__struct_fields__))


def _check_reply(test: Any, answer: Reply | None) -> None:
    if answer is not None:
        test.assertRegex(f"{answer.code} {answer.status}", r"\A(421 4|5\d\d 5)\.\d+\.\d+\Z")
