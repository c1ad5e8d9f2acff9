"""One activation asked of the model: decomposition, saliency, intervention, retention.

The package can be called: ``tf.explain(bundle, ...)`` is :func:`tfactors.explain.saliency.explain`.
Python puts a package that was imported under its name into the one above it, so ``tf.explain`` is
the function before that and the package after it; both do the same.
"""

import inspect
import sys
from types import ModuleType
from typing import Any


class _CallablePackage(ModuleType):
    def __call__(self, *args: Any, **keywords: Any) -> Any:
        from tfactors.explain.saliency import explain

        return explain(*args, **keywords)

    @property
    def __signature__(self) -> inspect.Signature:
        """What editors show of the call: the parameters of the function."""
        from tfactors.explain.saliency import explain

        return inspect.signature(explain)


sys.modules[__name__].__class__ = _CallablePackage
