"""Blobs, manifests, tags and images by the older client's names."""
