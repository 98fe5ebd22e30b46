"""The catalog: one row per defect instance, built from annotation files."""

from flawshot.catalog.catalog import Catalog

__all__ = ["Catalog"]
