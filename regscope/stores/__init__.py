"""Where images live: a registry, an OCI image layout, a saved archive; and the cache that wraps any of them."""
