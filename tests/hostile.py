"""Names that would do harm if they were anything but text."""

from __future__ import annotations

HOSTILE = [
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "</script><script>alert(2)</script>",
    "$\\frac{a}$ & </svg> {{ 7*7 }} &lt;",
    "=cmd|' /C calc'!A0",
    "right \u202eto\u2066 left \u0007",
    "划痕 Ω עברית",
    "long" * 60,
]
PRODUCTS = ["<b>bolt", '"onload=alert(3) x="']
