"""Analyses: pure functions from a snapshot to a DataFrame, without network, files or widgets."""
