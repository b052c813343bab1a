"""The whole service on embedded parts, in one command: for trying it out, for the demo, for tests."""
