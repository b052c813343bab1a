"""The HTTP API: thin doors to the operations."""
