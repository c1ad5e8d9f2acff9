"""Many readers who open pages at the same moment, each in a session of its own.

They speak Streamlit's own protocol, because 20 browsers would measure themselves.
"""

import asyncio
import contextlib
import time

from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from websockets.asyncio.client import ClientConnection, connect

READERS, ROUNDS = 20, 8


async def crowd_times(address: str, factors: int) -> tuple[list[float], int]:
    """Let readers open factors all at once; return the seconds of each page, and the failures."""
    url = address.replace("http", "ws", 1) + "/_stcore/stream"
    times: list[float] = []
    failed = 0
    async with contextlib.AsyncExitStack() as connections:
        readers = [
            await connections.enter_async_context(
                connect(url, subprotocols=["streamlit"], max_size=None)
            )
            for _ in range(READERS)
        ]
        for round_ in range(ROUNDS):
            asked = [
                page_time(reader, (round_ * READERS + place) * 7 % factors)
                for place, reader in enumerate(readers)
            ]
            for seconds, faultless in await asyncio.gather(*asked):
                failed += not faultless
                if round_:  # the first opens the session
                    times.append(seconds)
    return times, failed


async def page_time(reader: ClientConnection, factor: int) -> tuple[float, bool]:
    """Open a factor; return the seconds until its page is made, and whether it is without fault."""
    message = BackMsg()
    message.rerun_script.query_string = f"factor={factor}"
    message.rerun_script.page_name = "Factor"
    began = time.perf_counter()
    await reader.send(message.SerializeToString())
    faultless = True
    async with asyncio.timeout(60):
        while True:
            answer = ForwardMsg()
            data = await reader.recv()
            answer.ParseFromString(data if isinstance(data, bytes) else data.encode())
            kind = answer.WhichOneof("type")
            if kind == "delta" and answer.delta.new_element.WhichOneof("type") == "exception":
                faultless = False
            if kind == "script_finished":
                finished = answer.script_finished == ForwardMsg.FINISHED_SUCCESSFULLY
                return time.perf_counter() - began, faultless and finished
