"""PLAIN (RFC 4616)."""

from smtpgw.smtp.sasl.mechanism import (
    FINISHED,
    MAX_NAME_OCTETS,
    MAX_PASSWORD_OCTETS,
    Malformed,
    Mechanism,
    PasswordClaim,
    Rejected,
    SaslStep,
    prepared_name,
    prepared_password,
)

_MAX_OCTETS = 2 * MAX_NAME_OCTETS + MAX_PASSWORD_OCTETS + 2

_NOT_THREE = Malformed("PLAIN has exactly three parts")


class Plain(Mechanism):
    """
    Authorization identity, name and password in one response.

    The authorization identity is empty or the name again: nobody acts for somebody else here.
    """

    _is_over = False

    def respond(self, response: bytes) -> SaslStep:
        """The one response."""
        if self._is_over:
            return FINISHED
        self._is_over = True
        if len(response) > _MAX_OCTETS:
            return _NOT_THREE
        parts = response.split(b"\0")
        if len(parts) != 3:
            return _NOT_THREE
        authorization, authentication, secret = parts
        name = prepared_name(authentication)
        password = prepared_password(secret)
        if name is None or password is None:
            # RFC 4616 section 2: what can't be prepared, or is empty then, is never right.
            return Rejected(name or "", "name or password is empty or no text")
        if authorization:
            other = prepared_name(authorization)
            if other is None or other.lower() != name.lower():
                return Rejected(name, "foreign authorization identity")
        return PasswordClaim(name, password)
