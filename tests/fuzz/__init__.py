"""Fuzzing: whatever bytes regscope is given, it answers, or raises one of its own errors, soon and in little memory.

`python -m tests.fuzz` runs all targets and prints a table; `tests/fuzz/README.md` says how.
"""
