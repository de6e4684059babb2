"""Pure model: references, images, what a container is.  No clock, no system call, no I/O."""
