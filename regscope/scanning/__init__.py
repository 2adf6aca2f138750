"""Scans: reading the metadata and the files of a store into a snapshot."""
