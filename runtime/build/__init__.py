"""Images come to be: pulled, pushed, built.  Joins the store with registries and containers."""
