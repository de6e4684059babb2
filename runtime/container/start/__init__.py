"""From a specification to a running first process: the launcher and its child."""
