"""Hosted registries, each a real registry behind a profile that plays what the provider does otherwise.

A comment at each behaviour names its source. What nobody has written down is off by default.
"""
