"""The keys of supervise.yaml, each declared once."""
