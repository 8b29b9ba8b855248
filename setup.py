"""Packaging that setup.cfg can't say: the plugin module lives in a package that is Twisted's."""

from setuptools import find_packages, setup

# twisted.plugins is listed by name and never gets an __init__.py: with one, a wheel of ours would overwrite Twisted's.
setup(packages=[*find_packages(include=["smtpgw", "smtpgw.*"]), "twisted.plugins"])
