"""Configuration files to a validated Plan, with a place for every problem."""
