"""Images on their way between the store and registries."""
