"""From a store to a snapshot."""
