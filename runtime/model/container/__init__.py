"""PURE: what a container is: specification, state, limits, defaults."""
