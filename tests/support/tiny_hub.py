"""A hub in a folder: repositories on the disk, served as the Hugging Face hub serves them.

The hub's own client talks to it where ``HF_ENDPOINT`` names it. It answers what the client asks for
a download: what a repository holds at which commit, and its files, each with its size and tag.
"""

import hashlib
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

ROOT = Path(__file__).resolve().parents[2]


class TinyHub(ThreadingHTTPServer):
    """The repositories ``root/models/OWNER/NAME`` and ``root/datasets/OWNER/NAME``.

    Attributes
    ----------
    asked : list of str
        Every request so far, as ``GET /api/models/me/bundle/revision/main``.
    """

    daemon_threads = True

    def __init__(self, root: Path) -> None:
        super().__init__(("127.0.0.1", 0), _Request)
        self.root, self.asked = root, list[str]()

    @property
    def address(self) -> str:
        """What ``HF_ENDPOINT`` is to be."""
        return f"http://127.0.0.1:{self.server_port}"

    def repository(self, kind: str, name: str) -> tuple[str, dict[str, Path]] | None:
        """The commit and the files of a repository; None where there is none."""
        folder = self.root / kind / name
        if not folder.is_dir():
            return None
        files = {
            path.relative_to(folder).as_posix(): path
            for path in sorted(folder.rglob("*"))
            if path.is_file()
        }
        tags = "".join(f"{name} {tag(path)}" for name, path in files.items())
        return hashlib.sha1(tags.encode()).hexdigest(), files

    def repositories(self, kind: str, owner: str) -> list[dict[str, Any]]:
        """What an owner has of a kind, with the names of the files, as a listing tells it."""
        names = [f"{owner}/{path.name}" for path in sorted(self.root.glob(f"{kind}/{owner}/*"))]
        found = {name: self.repository(kind, name) for name in names}
        return [_about(name, *known) for name, known in found.items() if known]


@contextmanager
def serving(root: Path) -> Iterator[TinyHub]:
    """Serve the repositories of a folder until the block ends."""
    hub = TinyHub(root)
    thread = threading.Thread(target=hub.serve_forever, daemon=True)
    thread.start()
    try:
        yield hub
    finally:
        hub.shutdown()
        hub.server_close()
        thread.join()


@dataclass
class Reader:
    """Somebody with the command ``tfactors``, a hub, and a cache of their own."""

    hub: TinyHub
    cache: Path

    def environment(self, address: str | None = None) -> dict[str, str]:
        known = {k: v for k, v in os.environ.items() if not k.startswith(("HF_", "TFACTORS_"))}
        return known | {
            "HF_ENDPOINT": address or self.hub.address,
            "HF_HOME": str(self.cache),
            "HF_HUB_DISABLE_PROGRESS_BARS": "1",
            "PYTHONPATH": str(ROOT),
        }

    def run(self, *line: str, address: str | None = None) -> subprocess.CompletedProcess[str]:
        self.hub.asked.clear()
        return subprocess.run(
            [sys.executable, "-m", "tfactors", *line],
            env=self.environment(address),
            capture_output=True,
            text=True,
        )

    def fetched(self) -> list[str]:
        """The files that the hub has sent since the last command."""
        return [line.rpartition("/")[2] for line in self.hub.asked if line.startswith("GET /data")]


def tag(path: Path) -> str:
    """What a file is known by: the checksum of its bytes."""
    return hashlib.sha1(path.read_bytes()).hexdigest()


class _Request(BaseHTTPRequestHandler):
    server: TinyHub
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self._answer()

    def do_HEAD(self) -> None:
        self._answer()

    def log_message(self, *_: object) -> None:
        """Say nothing: `asked` keeps it."""

    def _answer(self) -> None:
        self.server.asked.append(f"{self.command} {self.path}")
        parts = [unquote(part) for part in urlsplit(self.path).path.strip("/").split("/")]
        if parts[0] == "api" and parts[1:] in (["datasets"], ["models"]):
            asked = dict(parse_qsl(urlsplit(self.path).query))
            self._json(self.server.repositories(parts[1], asked.get("author", "")))
            return
        if parts[0] == "api":
            kind, parts = parts[1], parts[2:]
        else:
            kind = parts.pop(0) if parts[0] == "datasets" else "models"
        name, rest = "/".join(parts[:2]), parts[2:]
        found = self.server.repository(kind, name) if name.count("/") == 1 else None
        if found is None:
            self._refuse("RepoNotFound")
            return
        commit, files = found
        if rest[:1] == ["resolve"]:
            self._file(commit, files.get("/".join(rest[2:])))
        elif rest[:1] == ["tree"]:
            self._json([_entry(file, path) for file, path in files.items()])
        else:
            self._json(_about(name, commit, files))

    def _file(self, commit: str, path: Path | None) -> None:
        if path is None:
            self._refuse("EntryNotFound")
            return
        raw = path.read_bytes()
        self._send(200, raw, {"X-Repo-Commit": commit, "ETag": f'"{tag(path)}"'})

    def _json(self, value: Any) -> None:
        self._send(200, json.dumps(value).encode(), {"Content-Type": "application/json"})

    def _refuse(self, code: str) -> None:
        self._send(404, b"", {"X-Error-Code": code})

    def _send(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in (headers | {"Content-Length": str(len(body))}).items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)


def _about(name: str, commit: str, files: dict[str, Path]) -> dict[str, Any]:
    siblings = [{"rfilename": file} for file in files]
    return {"id": name, "sha": commit, "private": False, "siblings": siblings}


def _entry(file: str, path: Path) -> dict[str, Any]:
    return {"type": "file", "path": file, "size": path.stat().st_size, "oid": tag(path)}
