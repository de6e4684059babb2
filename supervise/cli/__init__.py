"""Short-lived clients of the control socket."""
