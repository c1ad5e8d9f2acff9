"""Builds in processes of their own, and the bytes that they leave.

The processes start from a server that has imported what a build of a small BERT needs: seconds each
for torch and for the model's own code, which transformers imports when it is asked for.
"""

import hashlib
import json
import multiprocessing
import socket
from collections.abc import Callable
from pathlib import Path

processes = multiprocessing.get_context("forkserver")
processes.set_forkserver_preload(
    [
        "tfactors.stages.build",
        "transformers.models.bert.modeling_bert",
        "transformers.models.bert.tokenization_bert",
        "lime.lime_base",
        "pyarrow.dataset",
        "sklearn.cluster",
        "sklearn.manifold",
    ]
)


def run_apart(work: Callable, *arguments: object) -> None:
    """Run a function in a process of its own, which must end well."""
    process = processes.Process(target=work, args=arguments)
    process.start()
    process.join()
    assert process.exitcode == 0


def contents(folder: Path) -> dict[str, str]:
    """The checksum of every file, the manifest without what says when it was made."""
    found = {}
    for path in sorted(p for p in folder.rglob("*") if p.is_file()):
        raw = path.read_bytes()
        if path.name == "manifest.json":
            manifest = json.loads(raw)
            del manifest["created"], manifest["manifest_sha256"]
            raw = json.dumps(manifest).encode()
        found[str(path.relative_to(folder))] = hashlib.sha256(raw).hexdigest()
    return found


def free_port() -> int:
    """A port of this machine that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
