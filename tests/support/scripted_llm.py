"""A language model of a few lines behind real HTTP, in OpenAI's protocol.

Its answers follow from the request: a label names the commonest word of the active places, and a
place fits a label that has its word. What a test wants otherwise (slow, broken, rude answers) it
gives as ``script``, a function of the request that answers in its place.
"""

import json
import re
import socket
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple

KEY = "sk-secret-0123456789abcdef"


class Asked(NamedTuple):
    """One request: its number from 0, the JSON that was sent, and the data of the prompt."""

    number: int
    body: dict[str, Any]
    data: dict[str, Any]

    @property
    def for_label(self) -> bool:
        return "places" not in self.data


class Broken(NamedTuple):
    """An answer that is none: a status, headers and a body; status 0 breaks the connection."""

    status: int
    headers: dict[str, str] = {}  # noqa: RUF012
    body: str = "{}"


Script = Callable[[Asked], "str | Broken | None"]


class ScriptedModel(ThreadingHTTPServer):
    """The server; ``asked`` are all requests so far, ``most_at_once`` how many were under way."""

    daemon_threads = True
    request_queue_size = 64

    def __init__(self, script: Script = lambda asked: None) -> None:
        super().__init__(("127.0.0.1", 0), _Request)
        self.script = script
        self.asked: list[Asked] = []
        self.keys: set[str] = set()
        self.under_way = self.most_at_once = 0
        self.lock = threading.Lock()

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/v1"

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that goes away is no error here."""


def sensible(asked: Asked) -> str:
    """What the model answers where nothing is scripted."""
    data = asked.data
    if asked.for_label:
        words = Counter(place["word"] for place in data["active_strongest"])
        return json.dumps({"label": f"the word {words.most_common(1)[0][0]}"})
    said = re.findall(r"\w+", data["label"].casefold())
    fits = [p["number"] for p in data["places"] if p["word"].casefold() in said]
    return json.dumps({"fits": fits})


class _Request(BaseHTTPRequestHandler):
    server: ScriptedModel
    protocol_version = "HTTP/1.1"
    wbufsize = -1  # headers and body leave together: apart, the body waits for the other's receipt

    def do_POST(self) -> None:
        model = self.server
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        with model.lock:
            asked = Asked(len(model.asked), body, json.loads(body["messages"][-1]["content"]))
            model.asked.append(asked)
            model.keys.add(self.headers.get("Authorization", ""))
            model.under_way += 1
            model.most_at_once = max(model.most_at_once, model.under_way)
        try:
            answer = model.script(asked)
        finally:
            with model.lock:
                model.under_way -= 1
        self._send(sensible(asked) if answer is None else answer, body)

    def _send(self, answer: str | Broken, asked: dict[str, Any]) -> None:
        if isinstance(answer, str):
            content = {"role": "assistant", "content": answer}
            usage = {"prompt_tokens": 100, "completion_tokens": 10, "total_tokens": 110}
            choice = {"index": 0, "message": content, "finish_reason": "stop"}
            whole = {"id": "1", "object": "chat.completion", "created": 0, "model": asked["model"]}
            answer = Broken(200, {}, json.dumps(whole | {"choices": [choice], "usage": usage}))
        if not answer.status:
            self.connection.shutdown(socket.SHUT_RDWR)
            self.close_connection = True
            return
        raw = answer.body.encode()
        self.send_response(answer.status)
        for name, value in {"Content-Type": "application/json", **answer.headers}.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(raw)))
        self.end_headers()
        self.wfile.write(raw)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextmanager
def scripted(script: Script = lambda asked: None) -> Iterator[ScriptedModel]:
    """Serve a scripted model until the block ends."""
    with ScriptedModel(script) as model:
        threading.Thread(
            target=model.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True
        ).start()
        try:
            yield model
        finally:
            model.shutdown()
