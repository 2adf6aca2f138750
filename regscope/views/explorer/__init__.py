"""Widgets to look into a registry by hand. Each shows HTML that Python makes, and answers what is done to it."""
