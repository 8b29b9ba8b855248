"""Makes ``twistd smtpgw`` known. Every twistd command on the machine imports it: one line, nothing else."""

from twisted.application.service import ServiceMaker

smtpgw = ServiceMaker("smtpgw", "smtpgw.tap", "An SMTP relay and inbound gateway", "smtpgw")
