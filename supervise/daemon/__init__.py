"""The imperative shell of PID 1: the loop and everything that is a client of it."""
