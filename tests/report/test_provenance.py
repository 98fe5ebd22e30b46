"""What was run: everything that is needed to run it again, as it is to be read."""

from __future__ import annotations

import platform
from datetime import UTC, datetime

import flawshot
from flawshot.base.errors import printable
from flawshot.cli.reporting import stamped
from flawshot.report.provenance import make_facts
from hostile import PRODUCTS


def test_everything_that_is_needed_is_said(results):
    facts = dict(make_facts(stamped(results, datetime(2026, 1, 2, tzinfo=UTC), 12.34)))
    for product, instances in zip(PRODUCTS, (64, 48), strict=True):
        name = printable(product)
        assert (name, f"{instances} instances in {instances // 2} images") in facts["data set"]
        assert any(row[0] == name and len(row[1]) == 64 for row in facts["fingerprint of instances and categories"])
    assert ("catalog hash", results.provenance["data"]["catalog_hash"]) in facts["data set"]
    assert facts["text features"] == [("", "none")]
    assert facts["protocol"] == [("", "disjoint")]
    assert ("grouped", "False") in facts["protocol settings"]
    assert facts["seeds"] == [("", "0 to 4")]
    assert ("name", "made up") in facts["encoder"]
    assert ("weights_hash", "not recorded") in facts["encoder"]
    assert ("scheme", "none") in facts["views"]
    assert ("knn", "NearestNeighbors(n_neighbors=1)") in facts["classifiers"]
    assert facts["flawshot"] == [("", flawshot.__version__)]
    assert ("python", platform.python_version()) in facts["versions for evaluation"]
    assert facts["started"] == [("", "2026-01-02T00:00:00+00:00")]
    assert facts["duration"] == [("", "12.3 s")]
    assert "command" not in facts  # it stands above, whole


def test_what_is_recorded_under_an_unknown_name_is_shown_too(results):
    more = results.model_copy(update={"provenance": {"camera\u202e": {"gain": None, "lens": ["a", "b"]}, "seeds": [1]}})
    assert make_facts(more) == [
        ("seeds", [("", "1")]),
        ("camera\\u202e", [("gain", "not recorded"), ("lens", "a, b")]),
    ]


def test_settings_that_differ_are_not_put_together(results):
    settings = {"bolt": {"split": "kept"}, "nut": {"split": "none"}}
    more = results.model_copy(update={"provenance": {"sampling": settings, "seeds": [0, 1, 5]}})
    facts = dict(make_facts(more))
    assert facts["protocol settings"] == [("bolt.split", "kept"), ("nut.split", "none")]
    assert facts["seeds"] == [("", "0, 1, 5")]
