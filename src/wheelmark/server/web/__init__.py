"""Templates, static files, and the pages about projects."""
