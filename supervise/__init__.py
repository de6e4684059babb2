"""A PID 1 for containers: reaps, forwards signals and keeps declared services running."""

__version__ = "0.1.0"
