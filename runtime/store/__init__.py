"""What lies on disk, each part under a lock of its own."""
