"""tfactors explains a transformer by its transformer factors: x = αΦ + ε, α ≥ 0.

The public names are loaded on first use, so that ``import tfactors`` stays cheap and the pages of
the dashboard never pull in torch, transformers, lime or numba.
"""

from importlib import import_module
from importlib.metadata import PackageNotFoundError, version

_PUBLIC = {
    "Attribution": "explain.attribution",
    "Bundle": "bundle",
    "BundleError": "bundle",
    "Decomposition": "explain.decomposition",
    "DictionaryLearner": "coding.learner",
    "Explanation": "explain.explanation",
    "InputError": "errors",
    "SparseCoder": "coding.solver",
    "Intervention": "explain.intervention",
    "attribute": "explain.attribution",
    "decompose": "explain.decomposition",
    "duality_gap": "coding.sparse_coding",
    "explain": "explain.saliency",
    "intervene": "explain.intervention",
    "penalty_path": "coding.sparse_coding",
    "retention_at": "explain.retention",
    "search_by_meaning": "explain.meaning_search",
    "sparse_encode": "coding.sparse_coding",
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
