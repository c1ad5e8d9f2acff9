"""tfactors explains a transformer by its transformer factors: x = αΦ + ε, α ≥ 0.

The public names are loaded on first use, so that ``import tfactors`` stays cheap and the pages of
the dashboard never pull in torch, transformers, lime or numba.
"""

from importlib import import_module
from importlib.metadata import PackageNotFoundError, version

_PUBLIC = {
    "Bundle": "bundle",
    "BundleError": "bundle",
    "Decomposition": "decomposition",
    "DictionaryLearner": "dictionary",
    "Explanation": "saliency",
    "InputError": "errors",
    "SparseCoder": "sparse_coding",
    "Intervention": "intervention",
    "decompose": "decomposition",
    "duality_gap": "sparse_coding",
    "explain": "saliency",
    "intervene": "intervention",
    "penalty_path": "sparse_coding",
    "retention_at": "levels",
    "sparse_encode": "sparse_coding",
}

try:
    __version__ = version("tfactors")
except PackageNotFoundError:  # a checkout that was never installed
    __version__ = "0.0.0"

__all__ = sorted([*_PUBLIC, "__version__"])


def __getattr__(name: str) -> object:
    if name not in _PUBLIC:
        raise AttributeError(f"module 'tfactors' has no attribute {name!r}")
    return getattr(import_module(f"tfactors.{_PUBLIC[name]}"), name)


def __dir__() -> list[str]:
    return __all__
