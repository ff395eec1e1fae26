"""The read path: Simple API, TUF metadata, files. It never enters Django's views."""
