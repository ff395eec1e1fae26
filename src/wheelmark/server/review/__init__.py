"""Scans, verdicts, holds, and the moderators' pages."""
