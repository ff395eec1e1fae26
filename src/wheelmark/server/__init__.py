"""The Django site, one app for each step of a file's way. Only this package knows Django."""
