"""Wheelmark: a Python package index that inspects every upload and signs what it serves."""

__version__ = "0.1.0.dev0"
