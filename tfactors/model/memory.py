"""Says whether a model's weights fit into the memory that is free, before they are read."""

import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from tfactors.model.folder import ModelError
from tfactors.model.precision import BYTES
from tfactors.model.weights import StoredTensor


def check_memory(
    stored: Mapping[str, StoredTensor],
    precision: str,
    name: str,
    device: Any,
    skip: str | None = None,
) -> None:
    """Raise ModelError if the weights are more than the device has free.

    Parameters
    ----------
    stored : mapping of StoredTensor
        What the headers of the model's files say.
    precision : str
        In which its weights are held.
    name : str
        The model.
    device : torch device
        Where they are held.
    skip : str, optional
        Weights whose names start so are not counted: they are not loaded.
    """
    weights = sum(
        tensor.numbers for key, tensor in stored.items() if skip is None or not key.startswith(skip)
    )
    needed, free = BYTES[precision] * weights, free_memory(device)
    if free is not None and needed > free:
        half = ", or --dtype bfloat16, which takes half" if precision == "float32" else ""
        raise ModelError(
            f"model {name!r}: its {weights:,} weights take {needed / 1e9:.1f} GB as {precision}, "
            f"and {free / 1e9:.1f} GB are free on {device}; give a smaller model or a larger "
            f"machine{half}"
        )


def free_memory(device: Any) -> int | None:
    """Return the bytes that are free on a torch device; None where nobody says.

    On a CPU under Linux what the kernel calls available, and no more than is left to the
    container; elsewhere all of the machine's memory.
    """
    if device.type == "cuda":
        import torch

        return int(torch.cuda.mem_get_info(device)[0])
    if device.type != "cpu":
        return None
    limits = []
    with suppress(OSError, ValueError, StopIteration):
        lines = Path("/proc/meminfo").read_text("ascii").splitlines()
        line = next(line for line in lines if line.startswith("MemAvailable:"))
        limits.append(1024 * int(line.split()[1]))
    with suppress(OSError, ValueError):  # of a container; "max" where it has no limit
        group = Path("/sys/fs/cgroup")
        limit = int((group / "memory.max").read_text("ascii"))
        used = (group / "memory.stat").read_text("ascii").split()  # "anon 123 file 456 …"
        limits.append(limit - int(used[used.index("anon") + 1]))
    with suppress(OSError, ValueError, AttributeError):
        limits.append(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))
    return min(limits, default=None)
