"""Many readers for minutes: times, errors, memory, and whether anybody sees another's state.

Each reader has a session of its own, thinks between two steps, and does what readers do: clicks
through factors and layers, searches, draws at random, looks at maps and curves, types texts that
the model takes apart, has activations explained, labels factors, loads and saves files, closes the
page while it is being made and comes back. Everything that a reader types holds a number of its
own, and whatever the server sends is searched for the numbers of the others.

    python benchmarks/readers.py artifacts/default --readers 50 --minutes 10
"""

import argparse
import asyncio
import contextlib
import os
import random
import re
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections import Counter, defaultdict
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from reading_session import FaultError, Session
from served_dashboard import ROOT, memory
from websockets.exceptions import ConnectionClosed

from tfactors.bundle import Bundle

SAMPLED = 5.0  # seconds between two looks at the memory
WARM_UP = 0.4  # share of the time in which caches fill
WORDS = ("left", "right", "bank", "river", "war", "church", "music", "water", "season", "king")
SENTENCES = (
    "He left the house by the river, a letter in his left hand.",
    "The bank raised its interest rates, and the river rose to the top of the bank.",
    "The Treaty of Ghent ended the war between Great Britain and the United States.",
    "The band released its second album in the summer, and it sold a million copies.",
)
PARTS = ("At random", "Layer by layer", "Context", "Corpus", "Similar")


@dataclass
class Findings:
    """What all readers saw."""

    times: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    faults: list[str] = field(default_factory=list)
    said: Counter = field(default_factory=Counter)  # refusals and notices, by their words
    memory: list[tuple[float, float]] = field(default_factory=list)  # minutes, MB


class Reader:
    """One of them; ``number`` marks all that it types."""

    def __init__(self, number: int, address: str, bundle: Bundle, findings: Findings) -> None:
        self.random = random.Random(number)
        self.mark = f"tfmark{number:04d}q"
        stranger = re.compile(rf"tfmark(?!{number:04d}q)\d\d\d\dq".encode())
        self.session = Session(address, stranger)
        self.bundle, self.findings = bundle, findings

    async def read(self, seconds: float, thinks: float) -> None:
        """Go from step to step until the time is over."""
        until = time.monotonic() + seconds
        await asyncio.sleep(self.random.uniform(0, thinks))
        connected = False
        while time.monotonic() < until:
            name = self.random.choices(list(STEPS), [weight for weight, _ in STEPS.values()])[0]
            try:
                if not connected:
                    await self.session.begin()
                    connected = True
                await STEPS[name][1](self)
            except FaultError as fault:
                self.findings.faults.append(f"{name}: {fault}")
            except (TimeoutError, OSError, ConnectionClosed) as fault:
                self.findings.faults.append(f"{name}: {type(fault).__name__} {fault}")
                connected = False
            for alert in self.session.drawn.alerts:
                self.findings.said[re.sub(r"\d+", "N", alert)[:110]] += 1
            left = max(0.0, until - time.monotonic())
            await asyncio.sleep(min(self.random.expovariate(1 / thinks), 4 * thinks, left))
        await self.session.leave()

    async def timed(self, name: str, step: Awaitable[object]) -> None:
        """Take a step, and note how long it took."""
        began = time.perf_counter()
        await step
        self.findings.times[name].append(time.perf_counter() - began)

    def factor(self) -> int:
        """Return a factor; half of the time one of the few that everybody looks at."""
        few = self.random.random() < 0.5
        return self.random.randrange(40 if few else self.bundle.n_factors)

    async def open_home(self) -> None:
        await self.timed("Home", self.session.open(""))

    async def read_factors(self) -> None:
        await self.timed("Factor", self.session.open("Factor", f"factor={self.factor()}"))
        for _ in range(self.random.randrange(4)):
            await self.think()
            await self.timed("Factor: next", self.session.press("button", "Next"))
        await self.think()
        layer = str(self.random.choice(self.bundle.layers))
        move = self.session.move("button_group", layer, key="control_layer")
        await self.timed("Factor: layer", move)
        await self.think()
        part = self.random.choice(PARTS)
        move = self.session.move("button_group", part, key="control_part")
        await self.timed(f"Factor: {part}", move)

    async def search(self) -> None:
        await self.timed("Search", self.session.open("Search"))
        await self.think()
        word = self.random.choice(WORDS)
        move = self.session.move("text_input", word, key="control_q")
        await self.timed("Search: words", move)

    async def search_by_sentence(self) -> None:
        await self.session.open("Search", "by=sentence")
        text = f"{self.random.choice(SENTENCES)} {self.mark}"
        move = self.session.move("text_input", text, key="control_q")
        await self.timed("Search: sentence (live)", move)

    async def draw_at_random(self) -> None:
        await self.session.open("Random_by_level")
        level = self.random.choice(["low", "mid", "high"])
        await self.timed("Random", self.session.press("button", key=f"draw_{level}"))

    async def look_at_map(self) -> None:
        await self.timed("Map", self.session.open("Map"))
        await self.think()
        move = self.session.move("button_group", "Peak layer", key="control_colour")
        await self.timed("Map: colour", move)

    async def look_at_curves(self) -> None:
        factors = ",".join(str(self.factor()) for _ in range(5))
        await self.timed("Curves", self.session.open("Curves_and_saliency", f"factors={factors}"))

    async def look_at_senses(self) -> None:
        await self.timed("Senses", self.session.open("Word_senses"))

    async def compare(self) -> None:
        await self.timed("Compare", self.session.open("Compare", f"factor={self.factor()}"))

    async def look_at_evidence(self) -> None:
        await self.timed("Evidence", self.session.open("Evidence"))

    async def type_text(self) -> None:
        """Have a text taken apart, move λ, look at another layer."""
        await self.session.open("Your_text", f"factor={self.factor()}")
        count = self.random.choice([1, 1, 2, 4, 12])
        text = " ".join([self.mark, *self.random.choices(SENTENCES, k=count)])
        typed = self.session.move("text_area", text, key="control_text")
        await self.timed("Text (live)", typed)
        await self.think()
        if any("busy" in alert for alert in self.session.drawn.alerts):
            return  # was told so, and tries something else
        layer = str(self.random.choice(self.bundle.layers))
        move = self.session.move("button_group", layer, key="control_layer")
        await self.timed("Text: layer", move)
        await self.think()
        penalty = self.bundle.about.coding.penalty * self.random.choice([0.5, 0.8, 1.25, 2])
        move = self.session.move("slider", penalty, key="control_penalty")
        await self.timed("Text: λ (live)", move)

    async def explain(self) -> None:
        query = f"factor={self.factor()}&example={self.random.randint(1, 20)}"
        samples = self.random.choice([100, 200, 500])
        await self.session.open("Curves_and_saliency", f"{query}&samples={samples}")
        asked = self.session.press("button", "Explain with")
        await self.timed("Explain (live)", asked)

    async def see_effect(self) -> None:
        asked = self.session.open("Factor", f"factor={self.factor()}&part=effect")
        await self.timed("Factor: What it does (live)", asked)

    async def save_files(self) -> None:
        await self.session.open("Factor", f"factor={self.factor()}")
        await self.timed("Download: CSV", self.session.download("CSV"))
        await self.timed("Download: Parquet", self.session.download("Parquet"))

    async def label(self) -> None:
        """Write a label, and find it among one's own."""
        factor = self.factor()
        await self.session.open("Factor", f"factor={factor}")
        await self.session.move("expandable", True, key="fold_label")
        written = self.session.move("text_input", self.mark, key=f"own_label_{factor}")
        await self.timed("Label", written)
        await self.timed("Labels", self.session.open("Labels"))

    async def close_at_once(self) -> None:
        """Be gone before the page comes, and open it again."""
        self.session.page, self.session.query = self.random.choice(
            [
                ("Factor", f"factor={self.factor()}"),
                ("Your_text", f"text={self.mark}+{self.random.choice(SENTENCES)}"),
                ("Factor", f"factor={self.factor()}&part=effect"),
            ]
        )
        await self.session.ask_and_leave()
        await self.timed("After closing", self.session.open(""))

    async def think(self) -> None:
        """Look at what came."""
        await asyncio.sleep(self.random.uniform(0.5, 5))


STEPS: dict[str, tuple[int, Callable[[Reader], Awaitable[None]]]] = {
    "home": (3, Reader.open_home),
    "factors": (10, Reader.read_factors),
    "search": (5, Reader.search),
    "sentence": (2, Reader.search_by_sentence),
    "random": (4, Reader.draw_at_random),
    "map": (3, Reader.look_at_map),
    "curves": (3, Reader.look_at_curves),
    "senses": (2, Reader.look_at_senses),
    "compare": (1, Reader.compare),
    "evidence": (1, Reader.look_at_evidence),
    "text": (5, Reader.type_text),
    "explain": (1, Reader.explain),
    "effect": (2, Reader.see_effect),
    "save": (2, Reader.save_files),
    "label": (2, Reader.label),
    "close": (2, Reader.close_at_once),
}


@contextlib.contextmanager
def dashboard(bundle: Path, log: Path) -> Iterator[tuple[str, int]]:
    """Run ``tfactors dashboard`` as a user does; yields its address and its process."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    settings = {"STREAMLIT_SERVER_HEADLESS": "true", "PYTHONPATH": str(ROOT)}
    with log.open("wb") as out:
        process = subprocess.Popen(
            [sys.executable, "-m", "tfactors", "dashboard", str(bundle), "--port", str(port)],
            cwd=ROOT,
            env=os.environ | settings,
            stdout=out,
            stderr=subprocess.STDOUT,
        )
    address = f"http://127.0.0.1:{port}"
    try:
        while True:
            with contextlib.suppress(OSError):
                urllib.request.urlopen(f"{address}/_stcore/health", timeout=1).close()
                break
            if process.poll() is not None:
                sys.exit(f"the server ended before it answered: {log.read_text()}")
            time.sleep(0.05)
        yield address, process.pid
    finally:
        process.terminate()
        process.wait(20)


async def let_read(
    address: str, process: int, bundle: Bundle, options: argparse.Namespace
) -> Findings:
    """Let all readers read, and look at the server's memory meanwhile."""
    findings = Findings()
    seconds = 60 * options.minutes
    readers = [Reader(number, address, bundle, findings) for number in range(options.readers)]

    async def watch() -> None:
        began = time.monotonic()
        while True:
            findings.memory.append(((time.monotonic() - began) / 60, memory(process)))
            await asyncio.sleep(SAMPLED)

    watching = asyncio.create_task(watch())
    await asyncio.gather(*(reader.read(seconds, options.think) for reader in readers))
    watching.cancel()
    return findings


def report(findings: Findings, log: str, options: argparse.Namespace) -> bool:
    """Print what was found; return whether nothing was wrong."""
    count = sum(map(len, findings.times.values()))
    load = ", ".join(f"{part:.1f}" for part in os.getloadavg())
    minutes = options.minutes
    print(f"{options.readers} readers, {minutes:g} minutes, {os.cpu_count()} cores, load {load}")
    pace = count / minutes / 60
    print(f"{count:,} answers, {pace:.1f} a second, {len(findings.faults)} faults\n")
    print("| step | answers | median s | 95 % | worst |\n| --- | ---: | ---: | ---: | ---: |")
    everything = sorted(time for times in findings.times.values() for time in times)
    for name, times in [*sorted(findings.times.items()), ("all", everything)]:
        median, most = statistics.median(times), np.quantile(times, 0.95)
        print(f"| {name} | {len(times):,} | {median:.2f} | {most:.2f} | {max(times):.2f} |")
    moments, sizes = np.array(findings.memory).T
    late = moments >= WARM_UP * moments[-1]
    slope = np.polyfit(moments[late], sizes[late], 1)[0]
    shown = np.searchsorted(moments, np.arange(0, moments[-1], minutes / 10))
    print("\nmemory, MB by minute:", " ".join(f"{moments[i]:.1f}:{sizes[i]:.0f}" for i in shown))
    last, most = sizes[-1], sizes.max()
    print(f"last {last:.0f} MB, most {most:.0f} MB, after warm-up {slope:+.1f} a minute")
    for said, times in findings.said.most_common(12):
        print(f"said {times} times: {said}")
    for fault, times in Counter(findings.faults).most_common(20):
        print(f"fault, {times} times: {fault}")
    traces = log.count("Traceback")
    print(f"the server's log: {traces} tracebacks")
    return not findings.faults and not traces


def main() -> None:
    """Run the load and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("bundle", type=Path)
    parser.add_argument("--readers", type=int, default=50)
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--think", type=float, default=8, help="seconds between two steps, mean")
    parser.add_argument("--log", type=Path, help="where the server's log goes")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        log = options.log or Path(folder) / "server.log"
        with dashboard(options.bundle, log) as (address, process):
            bundle = Bundle.open(options.bundle)
            findings = asyncio.run(let_read(address, process, bundle, options))
        sys.exit(not report(findings, log.read_text(errors="replace"), options))


if __name__ == "__main__":
    main()
