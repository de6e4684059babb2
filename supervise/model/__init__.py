"""Pure model: what a service is and how it lives.  No clock, no system call, no I/O."""
