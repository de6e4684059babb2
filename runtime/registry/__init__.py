"""Registries: where they are, who may ask, what they send, what they are sent.

Knows nothing of the store: `runtime.exchange.pulling` and `pushing` join the two.
"""
