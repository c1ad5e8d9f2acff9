"""One reader's session with a dashboard, in Streamlit's own protocol and without a browser.

Opens the websocket of a page, asks for pages by their links, moves controls as a browser does, and
reads what comes back until the script has finished. What a page drew is known by kind, label and
key, so that a reader can only click what is there.
"""

import asyncio
import re
import time
import urllib.request
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from streamlit.proto.WidgetStates_pb2 import WidgetState
from websockets.asyncio.client import ClientConnection, connect

KEY = re.compile(r"^\$\$ID-[0-9a-f]+-(.*)$", re.DOTALL)
PATIENCE = 300  # seconds after which a page counts as one that never came


class FaultError(Exception):
    """A page that broke, never came, or lacks a control that it should have."""


@dataclass
class Drawn:
    """What one run of a page drew: controls and words."""

    widgets: list[tuple[str, str, Any]] = field(default_factory=list)  # kind, key, element
    alerts: list[str] = field(default_factory=list)
    exceptions: list[str] = field(default_factory=list)
    size: int = 0

    def take(self, element: Any) -> None:
        """Note what an element or a block is."""
        kind = element.WhichOneof("type")
        if kind is None:  # a plain container
            return
        content = getattr(element, kind)
        if kind == "exception":
            self.exceptions.append(f"{content.type}: {content.message}")
        elif kind == "alert":
            self.alerts.append(content.body)
        elif name := getattr(content, "id", ""):
            key = KEY.match(name)
            self.widgets.append((kind, key[1] if key else "", content))

    def find(self, kind: str, label: str = "", key: str = "") -> Any:
        """Return a control that can be used; its label or its key begins so."""
        for found, name, widget in self.widgets:
            fits = name == key if key else getattr(widget, "label", "").startswith(label)
            if found == kind and fits and not getattr(widget, "disabled", False):
                return widget
        raise FaultError(f"the page has no {kind} {label or key}")


class Session:
    """A reader's connection: the page that is open, and what it drew."""

    def __init__(self, address: str, stranger: re.Pattern[bytes]) -> None:
        self.address = address
        self.stranger = stranger  # what only other readers typed
        self.page, self.query, self.identity = "", "", ""
        self.drawn = Drawn()
        self.first_element = 0.0
        self._socket: ClientConnection | None = None

    async def begin(self) -> None:
        """Connect, as a browser does that opens a page or loads it again."""
        await self.leave()
        url = self.address.replace("http", "ws", 1) + "/_stcore/stream"
        # As patient as a browser, which shows a page that is still being made.
        self._socket = await connect(
            url,
            subprotocols=["streamlit"],
            max_size=None,
            open_timeout=PATIENCE,
            ping_timeout=PATIENCE,
        )

    async def leave(self) -> None:
        """Close the page, whatever the server is doing for it."""
        if self._socket is not None:
            await self._socket.close()

    async def open(self, page: str, query: str = "") -> None:
        """Follow a link."""
        self.page, self.query = page, query
        await self._run()

    async def press(self, kind: str, label: str = "", key: str = "") -> None:
        """Click a button."""
        state = WidgetState(id=self.drawn.find(kind, label, key).id, trigger_value=True)
        await self._run(state)

    async def move(self, kind: str, value: Any, label: str = "", key: str = "") -> None:
        """Give a control another value."""
        state = WidgetState(id=self.drawn.find(kind, label, key).id)
        match kind:
            case "text_input" | "text_area" | "selectbox":
                state.string_value = value
            case "number_input":
                state.double_value = value
            case "slider":
                state.double_array_value.data.append(value)
            case "checkbox" | "expandable":
                state.bool_value = value
            case "button_group":
                state.string_array_value.data.append(value)
        await self._run(state)

    async def ask_and_leave(self) -> None:
        """Ask for the open page and be gone before it comes."""
        await self._send(self._rerun())
        await self.begin()

    async def download(self, label: str) -> int:
        """Save a file that a button offers; return its size."""
        request = BackMsg()
        asked = request.backend_operation_request
        asked.request_id, asked.session_id = uuid4().hex, self.identity
        asked.deferred_file.file_id = self.drawn.find("download_button", label).deferred_file_id
        await self._send(request)
        async with asyncio.timeout(PATIENCE):
            while (answer := await self._receive()).WhichOneof(
                "type"
            ) != "backend_operation_response":
                pass
        response = answer.backend_operation_response
        if response.error_msg:
            raise FaultError(f"download: {response.error_msg}")
        return await asyncio.to_thread(self._fetch, response.deferred_file.url)

    def _fetch(self, path: str) -> int:
        with urllib.request.urlopen(self.address + path, timeout=PATIENCE) as answer:
            content = answer.read()
        self._look_for_strangers(content)
        return len(content)

    def _rerun(self, *states: WidgetState) -> BackMsg:
        message = BackMsg()
        rerun = message.rerun_script
        rerun.query_string, rerun.page_name = self.query, self.page
        rerun.context_info.url = f"{self.address}/{self.page}"
        rerun.widget_states.widgets.extend(states)
        return message

    async def _run(self, *states: WidgetState) -> None:
        """Have the page made, and read it to its end."""
        began = time.perf_counter()
        self.first_element = 0.0
        await self._send(self._rerun(*states))
        async with asyncio.timeout(PATIENCE):
            while True:
                answer = await self._receive()
                match answer.WhichOneof("type"):
                    case "new_session":
                        self.identity = answer.new_session.initialize.session_id or self.identity
                        self.drawn = Drawn()
                    case "delta" if answer.delta.WhichOneof("type") == "new_element":
                        self.first_element = self.first_element or time.perf_counter() - began
                        self.drawn.take(answer.delta.new_element)
                    case "delta" if answer.delta.WhichOneof("type") == "add_block":
                        self.drawn.take(answer.delta.add_block)
                    case "page_info_changed":
                        self.query = answer.page_info_changed.query_string
                    case "script_finished":
                        if answer.script_finished == ForwardMsg.FINISHED_SUCCESSFULLY:
                            break
                        if answer.script_finished == ForwardMsg.FINISHED_WITH_COMPILE_ERROR:
                            raise FaultError("the script does not compile")
        if self.drawn.exceptions:
            raise FaultError("; ".join(self.drawn.exceptions))

    async def _send(self, message: BackMsg) -> None:
        assert self._socket is not None
        await self._socket.send(message.SerializeToString())

    async def _receive(self) -> ForwardMsg:
        assert self._socket is not None
        data = await self._socket.recv()
        assert isinstance(data, bytes)
        self._look_for_strangers(data)
        self.drawn.size += len(data)
        answer = ForwardMsg()
        answer.ParseFromString(data)
        return answer

    def _look_for_strangers(self, content: bytes) -> None:
        if found := self.stranger.search(content):
            raise FaultError(f"shows what another reader typed: {found[0].decode()}")
