"""Provenance: everything that is needed to run the evaluation again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from flawshot.base.errors import printable

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from flawshot.evaluation.results import Results

__all__ = ["make_facts", "said_value", "value_rows"]

# Titles of the groups, in display order; other recorded values follow under their own names.
GROUPS = {
    "data": "data set",
    "fingerprints": "fingerprint of instances and categories",
    "protocols": "protocol",
    "sampling": "protocol settings",
    "seeds": "seeds",
    "episodes": "hash of the episodes, by K",
    "encoder": "encoder",
    "text": "text features",
    "views": "views",
    "classifiers": "classifiers",
    "interval": "intervals",
    "flawshot": "flawshot",
    "libraries": "versions for encoding",
    "versions": "versions for evaluation",
    "device": "device for training",
    "started": "started",
    "seconds": "duration",
}


def make_facts(results: Results) -> list[tuple[str, list[tuple[str, str]]]]:
    """Groups with their (name, text) rows, for display; the command line is shown elsewhere."""
    recorded = {key: value for key, value in results.provenance.items() if key != "command"}
    order = sorted(recorded, key=lambda key: (list(GROUPS).index(key) if key in GROUPS else len(GROUPS), key))
    return [(printable(GROUPS.get(key, key)), value_rows(said_value(key, recorded[key]))) for key in order]


def said_value(key: str, value: Any) -> Any:
    """A recorded value, shortened if that loses nothing."""
    if key == "seeds" and isinstance(value, list | tuple) and len(value) > 2 and _in_a_row(value):
        return f"{value[0]} to {value[-1]}"
    if key == "data" and isinstance(value, dict) and isinstance(value.get("products"), dict):
        counts = {
            name: f"{each.get('instances')} instances in {each.get('images')} images"
            if isinstance(each, dict)
            else each
            for name, each in value["products"].items()
        }
        return {"catalog hash": value.get("catalog_hash"), **counts}
    if key == "text" and value is None:
        return "none"
    if key == "sampling" and isinstance(value, dict) and value:
        several = list(value.values())
        if all(each == several[0] for each in several):
            return several[0]
    if key == "seconds" and isinstance(value, int | float):
        return f"{value:.1f} s"
    if key == "classifiers" and isinstance(value, dict):
        return {name: _call(each) if isinstance(each, dict) else each for name, each in value.items()}
    return value


def _in_a_row(values: Sequence[Any]) -> bool:
    return all(each == place for place, each in enumerate(values, values[0])) if isinstance(values[0], int) else False


def _call(classifier: Mapping[str, Any]) -> str:
    parameters = classifier.get("parameters")
    if not isinstance(parameters, dict):
        return str(dict(classifier))
    return f"{classifier.get('class')}({', '.join(f'{name}={value}' for name, value in parameters.items())})"


def value_rows(value: Any, prefix: str = "") -> list[tuple[str, str]]:
    """Nested settings as (name, text) rows; the names of levels are joined with dots."""
    if isinstance(value, dict) and value:
        return [
            row
            for key, each in value.items()
            for row in value_rows(each, f"{prefix}.{key}" if prefix else printable(str(key)))
        ]
    if isinstance(value, list | tuple):
        return [(prefix, printable(", ".join(str(each) for each in value)) or "none")]
    return [(prefix, "not recorded" if value is None else printable(str(value)))]
