"""Cleaning a registry: retention policies, plans, applying and undoing them, rewriting images to smaller ones."""
