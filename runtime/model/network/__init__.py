"""PURE: what a network is: addresses, published ports, leases, host files."""
