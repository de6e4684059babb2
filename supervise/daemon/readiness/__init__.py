"""Is it up, is it well: probes, and what services say of themselves."""
