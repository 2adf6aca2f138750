"""regscope."""
