"""Normalised build instructions, for grouping one's own DataFrames by them: see `regscope.spec.instructions`."""

from regscope.spec.instructions import KEYWORDS, OTHER, keyword, normalised

__all__ = ["KEYWORDS", "OTHER", "keyword", "normalised"]
