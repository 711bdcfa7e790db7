"""Transformations of nests: one pass per file."""
