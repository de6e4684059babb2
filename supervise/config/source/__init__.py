"""From files and variables to YAML nodes with places."""
