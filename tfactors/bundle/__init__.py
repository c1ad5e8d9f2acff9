"""A bundle: a folder of Parquet files, and what reads, writes and verifies it."""

from tfactors.bundle.bundle import Bundle
from tfactors.bundle.format import BundleError

__all__ = ["Bundle", "BundleError"]
