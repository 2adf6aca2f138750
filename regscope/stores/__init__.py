"""Stores of images: registries, OCI image layouts, saved archives and registry storage; and the cache around one."""
