"""A small daemonless container runtime and image builder; its PID 1 is supervise."""
