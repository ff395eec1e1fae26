"""The read path: Simple API, TUF metadata, files. It never enters Django's views.

It reads nothing but what the publisher's commit wrote (`publishing.models`) and the bytes that those rows name.
"""
