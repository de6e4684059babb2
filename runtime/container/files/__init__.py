"""A container's files, seen from outside: changes, copies, archives."""
