"""Which proxy a request goes through."""

from __future__ import annotations

import pytest

from runtime.registry.proxies import for_url

PROXY = "http://proxy.example:3128"


@pytest.mark.parametrize(
    ("url", "environment", "expected"),
    [
        ("https://r.example/v2/", {}, ""),
        ("https://r.example/v2/", {"https_proxy": PROXY}, PROXY),
        ("https://r.example/v2/", {"HTTPS_PROXY": PROXY}, PROXY),
        ("https://r.example/v2/", {"HTTP_PROXY": PROXY}, ""),
        ("http://r.example/v2/", {"HTTP_PROXY": PROXY}, PROXY),
        ("http://r.example/v2/", {"ALL_PROXY": PROXY}, PROXY),
        ("https://r.example/v2/", {"HTTPS_PROXY": "proxy.example:3128"}, PROXY),
        ("http://127.0.0.1:5000/v2/", {"ALL_PROXY": PROXY}, ""),
        ("http://localhost/v2/", {"ALL_PROXY": PROXY}, ""),
        ("https://r.example/", {"ALL_PROXY": PROXY, "NO_PROXY": "r.example"}, ""),
        ("https://a.r.example/", {"ALL_PROXY": PROXY, "NO_PROXY": "x, r.example"}, ""),
        ("https://a.r.example/", {"ALL_PROXY": PROXY, "NO_PROXY": ".r.example"}, ""),
        ("https://other.example/", {"ALL_PROXY": PROXY, "NO_PROXY": "r.example"}, PROXY),
        ("https://anr.example/", {"ALL_PROXY": PROXY, "NO_PROXY": "r.example"}, PROXY),
        ("https://r.example:5000/", {"ALL_PROXY": PROXY, "NO_PROXY": "r.example:443"}, PROXY),
        ("https://r.example:5000/", {"ALL_PROXY": PROXY, "NO_PROXY": "r.example:5000"}, ""),
        ("https://r.example/", {"ALL_PROXY": PROXY, "NO_PROXY": "*"}, ""),
    ],
)
def test_the_variables_say_which(url: str, environment: dict[str, str], expected: str) -> None:
    assert for_url(url, environment) == expected
