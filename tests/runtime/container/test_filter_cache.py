"""The cache of compiled seccomp filters: what a power failure leaves is never a filter."""

from __future__ import annotations

from pathlib import Path

import pytest

from runtime.container.start import seccomp_cache
from runtime.model.container.spec import Spec
from runtime.store.layout import Layout


@pytest.mark.parametrize("kept", [0, 8, 16, 24, -8])
def test_a_cut_filter_is_compiled_anew(tmp_path: Path, kept: int) -> None:
    """An empty program forbids nothing, a cut one not what the profile says."""
    layout = Layout(str(tmp_path))
    spec = Spec("0" * 64, "name", "image", "", ())
    whole = seccomp_cache.program(spec, layout)
    (cached,) = (tmp_path / "seccomp").iterdir()
    cached.write_bytes(cached.read_bytes()[:kept])

    assert whole
    assert seccomp_cache.program(spec, layout) == whole
