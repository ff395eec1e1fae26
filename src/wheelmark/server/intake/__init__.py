"""The upload APIs: receive, validate, store, record."""
