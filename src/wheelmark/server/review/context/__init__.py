"""Context checks in the index: loads what they look at, and keeps what they say. The checks are in `scan/context`."""
