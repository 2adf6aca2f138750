"""Documents by the older client's names."""
