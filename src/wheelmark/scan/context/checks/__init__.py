"""The built-in context checks, one a file."""
