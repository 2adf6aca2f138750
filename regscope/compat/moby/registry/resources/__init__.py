"""Blobs, manifests, tags and images under the older client's module names."""
