"""Clients, resources and errors under the older client's module names."""
