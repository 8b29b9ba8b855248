"""Rules that accept or refuse, one file each."""
