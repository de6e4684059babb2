"""The instructions that make files, and the containers they run in."""
