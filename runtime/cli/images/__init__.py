"""The verbs of images and registries."""
