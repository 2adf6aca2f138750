"""Pure functions from a snapshot to a DataFrame, one question each. No network, no files, no widgets."""
