"""PURE: what an image is: names, digests, configuration."""
