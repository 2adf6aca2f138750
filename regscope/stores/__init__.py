"""Where images live: a registry, an OCI image layout, a docker-archive; and the cache that wraps any of them."""
