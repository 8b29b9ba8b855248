"""LOGIN: an old mechanism without a standard, for clients that know no other. Same secrets on the wire as PLAIN."""

from smtpgw.boundaries.auth import Challenge
from smtpgw.smtp.sasl.mechanism import (
    FINISHED,
    Mechanism,
    PasswordClaim,
    Rejected,
    SaslStep,
    prepared_name,
    prepared_password,
)

_ASK_NAME = Challenge(b"Username:")
_ASK_PASSWORD = Challenge(b"Password:")


class Login(Mechanism):
    """
    Name, then password.

    A name that is none is refused only after the password, as one that is unknown.
    """

    def __init__(self) -> None:
        self._steps = 0
        self._name: str | None = None

    def begin(self, initial: bytes | None) -> SaslStep:
        """An initial response is the name."""
        return _ASK_NAME if initial is None else self.respond(initial)

    def respond(self, response: bytes) -> SaslStep:
        """The name; then the password."""
        self._steps += 1
        if self._steps == 1:
            self._name = prepared_name(response)
            return _ASK_PASSWORD
        if self._steps > 2:
            return FINISHED
        password = prepared_password(response)
        if self._name is None or password is None:
            return Rejected(self._name or "", "name or password is empty or no text")
        return PasswordClaim(self._name, password)
