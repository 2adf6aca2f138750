"""Clients, resources and errors by the older client's names."""
