"""The only system calls of this package: thin wrappers that keep the kernel's names."""
