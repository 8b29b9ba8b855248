"""The extensions, in the order of the reply to EHLO: one line for each."""

from smtpgw.smtp.extension import Extension
from smtpgw.smtp.extensions.auth import Auth
from smtpgw.smtp.extensions.chunking import Chunking
from smtpgw.smtp.extensions.deliverby import DeliverByTime
from smtpgw.smtp.extensions.dsn import Dsn
from smtpgw.smtp.extensions.eightbitmime import EightBitMime
from smtpgw.smtp.extensions.futurerelease import FutureRelease
from smtpgw.smtp.extensions.limits import Limits
from smtpgw.smtp.extensions.pipelining import Pipelining
from smtpgw.smtp.extensions.requiretls import RequireTls
from smtpgw.smtp.extensions.size import Size
from smtpgw.smtp.extensions.smtputf8 import SmtpUtf8
from smtpgw.smtp.extensions.starttls import StartTls
from smtpgw.smtp.extensions.status_codes import StatusCodes
from smtpgw.smtp.extensions.xclient import Xclient

EXTENSIONS: tuple[Extension, ...] = (
    Pipelining(),
    Size(),
    StartTls(),
    Auth(),
    StatusCodes(),
    EightBitMime(),
    Dsn(),
    SmtpUtf8(),
    Chunking(),
    RequireTls(),
    Limits(),
    DeliverByTime(),
    FutureRelease(),
    Xclient(),
)
