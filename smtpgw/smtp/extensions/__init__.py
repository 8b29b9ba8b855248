"""SMTP service extensions, one file each."""
