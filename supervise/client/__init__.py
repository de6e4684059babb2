"""What every client of PID 1 needs: a connection to it, and its refusals in words."""
