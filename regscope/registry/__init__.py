"""One HTTP registry: where it is, who asks, and the one path that every request takes."""
