"""Data of other projects' tests, which lies outside this repository: `make conformance DATA=DIR`.

Without it there is nothing here to collect.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

collect_ignore_glob = [] if os.environ.get("CONFORMANCE_DATA") else ["test_*.py"]


@pytest.fixture(scope="session")
def data() -> Path:
    """Return the folder with `dockerfile/` and `build/`."""
    return Path(os.environ["CONFORMANCE_DATA"])
