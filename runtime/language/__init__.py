"""PURE: what people type and read: command lines, templates, filters, columns, units."""
