"""Turns the weights of a transformer's linear layers into the form that this processor likes best.

oneDNN, which comes with PyTorch, multiplies by weights that lie in the order of its kernel faster
than by weights in rows, and adds the bias, or applies GELU, while the product is in registers. The
numbers are the same up to float32's rounding. `benchmarks/forward_pass.py` measures both.

Only float32 on a CPU is packed; where oneDNN is missing, everything stays as it is.
"""

from functools import cached_property
from typing import Any

BATCH_ROWS = 2048
"""Rows of a product for which the weights are packed; others are right as well."""


def pack_linear_layers(module: Any) -> bool:
    """Pack the weights of every linear layer of a model in place, for inference.

    A packed weight takes the place of the one in rows, so that memory stays the same. Models that
    read ``linear.weight`` themselves do not run then; `unpack_linear_layers` undoes it.

    Returns
    -------
    bool
        Whether anything was packed.
    """
    import torch
    from transformers.activations import GELUActivation

    if not torch.backends.mkldnn.is_available() or not hasattr(
        torch.ops.mkldnn, "_linear_pointwise"
    ):
        return False

    class Product(torch.autograd.Function):
        """y = xWᵀ + b with a packed W, and the gradient of x, for which PyTorch has no rule."""

        @staticmethod
        def forward(ctx: Any, x: Any, layer: Any) -> Any:
            ctx.layer = layer
            return torch.ops.mkldnn._linear_pointwise(x, layer.weight, layer.bias, "none", [], "")

        @staticmethod
        def backward(ctx: Any, gradient: Any) -> Any:
            return gradient @ ctx.layer.rows, None

    class PackedLinear(torch.nn.Module):
        """y = xWᵀ + b, or GELU of it."""

        def __init__(self, linear: Any, activation: str) -> None:
            super().__init__()
            weight = torch.ops.mkldnn._reorder_linear_weight(linear.weight, BATCH_ROWS)
            self.register_buffer("weight", weight, persistent=False)
            self.register_buffer("bias", linear.bias, persistent=False)
            self.activation = activation

        @cached_property
        def rows(self) -> Any:
            """The weight in rows, made once a gradient is asked for."""
            weight: Any = self.weight
            return weight.to_dense()

        def forward(self, x: Any) -> Any:
            if x.requires_grad:
                y = Product.apply(x, self)
                return torch.nn.functional.gelu(y) if self.activation == "gelu" else y
            algorithm = "none" if self.activation == "gelu" else ""
            return torch.ops.mkldnn._linear_pointwise(
                x, self.weight, self.bias, self.activation, [], algorithm
            )

    packed = False
    for parent in list(module.modules()):
        # The only activation that BERT and its kin apply to what `dense` gives, and nothing else.
        gelu = type(getattr(parent, "intermediate_act_fn", None)) is GELUActivation
        for name, child in parent.named_children():
            weight = child.weight if type(child) is torch.nn.Linear else None
            if weight is not None and (weight.dtype, weight.device.type) == (torch.float32, "cpu"):
                packed, fused = True, gelu and name == "dense"
                setattr(parent, name, PackedLinear(child, "gelu" if fused else "none"))
                if fused:
                    parent.intermediate_act_fn = torch.nn.Identity()
    return packed


def unpack_linear_layers(module: Any) -> None:
    """Put the weights of packed linear layers back into rows, in place; they are the same bits."""
    import torch
    from transformers.activations import GELUActivation

    for parent in list(module.modules()):
        for name, child in parent.named_children():
            if type(child).__name__ != "PackedLinear":
                continue
            weight = child.weight.to_dense()
            with torch.device("meta"):
                linear = torch.nn.Linear(weight.shape[1], weight.shape[0], child.bias is not None)
            linear.weight = torch.nn.Parameter(weight, requires_grad=False)
            if child.bias is not None:
                linear.bias = torch.nn.Parameter(child.bias, requires_grad=False)
            setattr(parent, name, linear.eval())
            if child.activation == "gelu":
                parent.intermediate_act_fn = GELUActivation()
