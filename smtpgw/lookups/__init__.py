"""Who is a recipient of a domain of ours, asked where the recipients are kept."""
