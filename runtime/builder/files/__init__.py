"""COPY and ADD: what is chosen, where it goes, whom it belongs to."""
