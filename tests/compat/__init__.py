"""Tests of the older client's names and manners."""
