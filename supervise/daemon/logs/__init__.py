"""Service output: pipes to lines to console, files, ring and followers; never blocking."""
