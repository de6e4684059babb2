"""The process beside each container, from its start to its end."""
