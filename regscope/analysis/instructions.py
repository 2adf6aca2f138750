"""Build instructions for those who group their own frames by them: see `regscope.spec.instructions`."""

from regscope.spec.instructions import KEYWORDS, OTHER, keyword, normalised

__all__ = ["KEYWORDS", "OTHER", "keyword", "normalised"]
