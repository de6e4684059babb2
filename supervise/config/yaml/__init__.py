"""The dialect of supervise.yaml: from files and variables to declared services."""
