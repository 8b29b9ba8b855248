"""The version, in a module that imports nothing, for the package's metadata."""

VERSION = "0.1.0"
