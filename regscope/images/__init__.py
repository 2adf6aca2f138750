"""Images: copying, changing, flattening them, making indexes, attaching artifacts."""
