"""EXTERNAL (RFC 4422 appendix A): the client's certificate has said who it is."""

from collections.abc import Sequence

from smtpgw.smtp.sasl.mechanism import FINISHED, Malformed, Mechanism, Proven, Rejected, SaslStep, prepared_name


class External(Mechanism):
    """
    Lets a client be one of the subjects of its certificate.

    It says which, or leaves it to us: then the first one.
    """

    def __init__(self, subjects: Sequence[str]) -> None:
        """:param subjects: those that are accounts, in the order of preference."""
        self._subjects = subjects
        self._is_over = False

    def respond(self, response: bytes) -> SaslStep:
        """The authorization identity, which may be empty."""
        if self._is_over:
            return FINISHED
        self._is_over = True
        if b"\0" in response:
            return Malformed("NUL in an authorization identity")
        if not response:
            return Proven(self._subjects[0]) if self._subjects else Rejected("", "the certificate names nobody")
        name = prepared_name(response)
        if name is not None:
            for subject in self._subjects:
                if subject.lower() == name.lower():
                    return Proven(subject)
        return Rejected(name or "", "the certificate names somebody else")
