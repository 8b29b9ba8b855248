"""
The dialogue with a milter over a link: each step is sent, and its answer waited for.

Many steps are not answered, or not wanted, and then nothing waits. Whatever goes wrong is ``FilterLost``, and the link
is closed then.
"""

from smtpgw.boundaries.filters import Content, FilterLink, FilterLost
from smtpgw.milter import macros
from smtpgw.milter.answers import Answer, Broken, Ruling
from smtpgw.milter.codec import MOST_DATA_OCTETS
from smtpgw.milter.fields import name_and_value
from smtpgw.milter.session import MilterSession, Stage
from smtpgw.model.address import path_text
from smtpgw.model.envelope import BodyType, Client, MailFrom, Recipient

_END_FACTOR = 5
"""The answer to the end of a message may take so many times longer: it is where the work is done."""

_MOST_FACTOR = 3
"""A milter that asks for more time gets it, but never more than so many times all of it: the client waits as well."""

_SENT_AT_ONCE = 65536


class Dialogue:
    """One connection to a milter, from the negotiation on."""

    def __init__(self, link: FilterLink, *, hostname: str, timeout_seconds: float, most_body_octets: int) -> None:
        """:param timeout_seconds: for each answer."""
        self.session = MilterSession(most_body_octets)
        self._link = link
        self._hostname = hostname
        self._timeout_seconds = timeout_seconds

    @property
    def is_open(self) -> bool:
        """Whether it is of any more use."""
        return self._link.is_open and self.session.stage is not Stage.OVER

    @property
    def has_envelope(self) -> bool:
        """Whether there is a transaction, without content so far."""
        return self.is_open and self.session.stage is Stage.ENVELOPE

    async def greet(self, client: Client) -> Answer:
        """Negotiate, and tell who the client is."""
        session = self.session
        answer = await self._ask(session.open())
        if client.protocol == "LOCAL":
            client = macros.LOOPBACK
        name = client.name or (f"[{client.address}]" if client.address else "unknown")
        answer = await self._ask(
            session.connect(name, client.address, client.port, macros.of_connect(client, self._hostname))
        )
        if answer is Ruling.CONTINUE and client.helo:
            answer = await self._ask(session.helo(client.helo, macros.of_helo(client)))
        return answer

    async def mail(self, client: Client, mail: MailFrom) -> Answer:
        """Begin a transaction; one that is under way is forgotten."""
        await self._send(self.session.abort())
        parameters = []
        if mail.size_octets is not None:
            parameters.append(f"SIZE={mail.size_octets}")
        if mail.body is not BodyType.SEVEN_BIT:
            parameters.append(f"BODY={mail.body.value}")
        if mail.smtputf8:
            parameters.append("SMTPUTF8")
        stage = macros.of_mail(client, mail)
        return await self._ask(self.session.mail(path_text(mail.reverse_path), tuple(parameters), stage))

    async def rcpt(self, recipient: Recipient) -> Answer:
        """One recipient."""
        mailbox = recipient.mailbox
        path = str(mailbox) if mailbox.domain else mailbox.local
        return await self._ask(self.session.rcpt(path, (), macros.of_rcpt(mailbox)))

    async def content(self, queue_id: str, content: Content) -> Answer:
        """All of the message; ``session.edits`` and ``session.body`` are what it wants changed."""
        session, stage = self.session, macros.of_content(queue_id)
        answer = await self._ask(session.data(stage))
        if answer is Ruling.CONTINUE:
            answer = await self._header(content.fields)
        if answer is Ruling.CONTINUE:
            answer = await self._ask(session.end_of_header(stage))
        if answer is Ruling.CONTINUE and session.wants_body:
            answer = await self._body(content)
        if answer is not Ruling.CONTINUE:
            return answer
        return await self._ask(session.end_of_message(stage), self._timeout_seconds * _END_FACTOR)

    async def _header(self, fields: tuple[bytes, ...]) -> Answer:
        waiting = bytearray()
        for field in fields:
            waiting += self.session.header(*name_and_value(field))
            if self.session.awaits or len(waiting) >= _SENT_AT_ONCE:
                answer = await self._ask(bytes(waiting))
                if len(waiting) >= _SENT_AT_ONCE:
                    # Fields of a few octets each, by the ten thousand: nobody else should wait for all of them.
                    await self._link.pause()
                waiting.clear()
                if answer is not Ruling.CONTINUE:
                    return answer
        return await self._ask(bytes(waiting))

    async def _body(self, content: Content) -> Answer:
        session = self.session
        offset = 0
        while True:
            octets = content.read(offset)
            if not isinstance(octets, bytes):
                octets = await octets
            if not octets:
                return Ruling.CONTINUE
            offset += len(octets)
            for start in range(0, len(octets), MOST_DATA_OCTETS):
                answer = await self._ask(session.piece(octets[start : start + MOST_DATA_OCTETS]))
                if answer is Ruling.SKIP:
                    return Ruling.CONTINUE
                if answer is not Ruling.CONTINUE:
                    return answer

    def close(self) -> None:
        """Take leave."""
        self._link.close(self.session.quit())

    async def _ask(self, octets: bytes, seconds: float | None = None) -> Answer:
        """Send, and wait for the answer if one is due."""
        session, link = self.session, self._link
        if link.has_input:
            raise self._lost("it speaks without being asked")
        await self._send(octets)
        if not session.awaits:
            return Ruling.CONTINUE
        seconds = seconds or self._timeout_seconds
        link.expect(seconds, _MOST_FACTOR * seconds)
        progressed = 0
        while True:
            answer = session.receive(await link.receive())
            if isinstance(answer, Broken):
                raise self._lost(answer.cause)
            if answer is not None:
                return answer
            if session.progressed > progressed:
                progressed = session.progressed
                link.extend()

    async def _send(self, octets: bytes) -> None:
        if octets:
            waiting = self._link.send(octets)
            if waiting is not None:
                await waiting

    def _lost(self, cause: str) -> FilterLost:
        self.close()
        return FilterLost(cause)
