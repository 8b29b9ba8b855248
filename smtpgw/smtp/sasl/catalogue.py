"""All mechanisms, the strongest first. A new one has its line here."""

from collections.abc import Callable

from msgspec import Struct

from smtpgw.boundaries.auth import ChannelBinding
from smtpgw.smtp.sasl.external import External
from smtpgw.smtp.sasl.login import Login
from smtpgw.smtp.sasl.mechanism import Mechanism
from smtpgw.smtp.sasl.oauth import OAuthBearer, XOAuth2
from smtpgw.smtp.sasl.plain import Plain
from smtpgw.smtp.sasl.scram import KeySource, Scram


class MechanismNeeds(Struct, frozen=True):
    """
    What there is for a mechanism to work with.

    :ivar nonce: our half of SCRAM's, new each time.
    :ivar subjects: of the client's certificate, those that are accounts, by their keys.
    """

    binding: ChannelBinding
    find_keys: KeySource
    nonce: str
    subjects: tuple[str, ...] = ()


MECHANISMS: dict[str, Callable[[MechanismNeeds], Mechanism]] = {
    "EXTERNAL": lambda needs: External(needs.subjects),
    "SCRAM-SHA-256-PLUS": lambda needs: Scram("sha256", needs.find_keys, needs.nonce, needs.binding),
    "SCRAM-SHA-256": lambda needs: Scram("sha256", needs.find_keys, needs.nonce, None, offers_binding=True),
    "OAUTHBEARER": lambda _: OAuthBearer(),
    "XOAUTH2": lambda _: XOAuth2(),
    "PLAIN": lambda _: Plain(),
    "LOGIN": lambda _: Login(),
}
"""
How each is made.

What is proven without showing a secret comes first, then secrets that expire, then passwords. The -PLUS mechanism is
offered wherever SCRAM is: both are offered after the handshake alone.
"""
