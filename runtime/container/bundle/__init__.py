"""The injected PID 1: where it is in a container, and the directories it is made in."""
