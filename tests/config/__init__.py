"""The configuration: read, checked, in base units."""
