"""Tests of images: changing, copying and attaching."""
