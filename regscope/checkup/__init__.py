"""A check-up of a registry: what works with these credentials, as a table for a bug report."""
