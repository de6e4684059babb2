"""The verbs of containers."""
