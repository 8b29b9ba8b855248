"""The smtpgw command. It never imports Twisted's reactor at import time."""
