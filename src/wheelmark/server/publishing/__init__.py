"""Turns the journal into pages and signed snapshots."""
