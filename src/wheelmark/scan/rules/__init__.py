"""The built-in rules: one `RULE` in each module. A rule speaks of behaviour, never of a project, author or hash."""
