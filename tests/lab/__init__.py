"""Builders of what tests are about: layers, images, layouts, archives, registries and snapshots."""
