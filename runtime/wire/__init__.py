"""PURE: bytes and texts of formats that others define, to values and back."""
