"""The ``tfactors`` command: build a bundle, check it, read from it, open the dashboard on it.

Exit status 0: done; 2: bad usage or bad input, one line on standard error; 130: interrupted.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

from tfactors.bundle import Bundle
from tfactors.bundle.evidence import REPORT, folder_of
from tfactors.cli_options import parser
from tfactors.display.text import describe
from tfactors.errors import InputError
from tfactors.ranks import leads
from tfactors.stages.settings import Settings, with_changes
from tfactors.text.windows import named_corpus

DONE, BAD_INPUT, INTERRUPTED = 0, 2, 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command line and return its exit status."""
    options = parser(COMMANDS).parse_args(arguments)
    try:
        options.command(options)
    except InputError as error:
        print(f"tfactors: {' '.join(str(error).split())}", file=sys.stderr)
        return BAD_INPUT
    except ModuleNotFoundError as error:  # where only what the reading pages need is installed
        if str(error.name).startswith("tfactors"):
            raise
        print(
            f"tfactors: {options.name} needs the package {error.name}, which is not installed; "
            "'pip install tfactors' brings all it needs",
            file=sys.stderr,
        )
        return BAD_INPUT
    except KeyboardInterrupt:
        resumed = options.name in ("build", "import", "evaluate")
        hint = "; the same command goes on from here" if resumed else ""
        if leads():
            print(f"\ntfactors: interrupted{hint}", file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:  # the reader of our output, such as head, has gone
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except OSError as error:  # a folder that cannot be written, a disk that is full
        if not error.strerror:
            raise
        where = f"{error.filename}: " if error.filename else ""
        print(f"tfactors: {where}{error.strerror}", file=sys.stderr)
        return BAD_INPUT
    return DONE


def _changes(options: argparse.Namespace) -> dict[str, Any]:
    """Return the settings that were given on the command line."""
    given = {f.name: getattr(options, f.name, None) for f in fields(Settings)}
    given = {k: tuple(v) if isinstance(v, list) else v for k, v in given.items() if v is not None}
    corpora = (*options.corpora, *map(named_corpus, options.corpus))
    return given | {"corpora": corpora or None}


def _import(options: argparse.Namespace) -> None:
    from tfactors.stages.importing import import_dictionary

    path, changes = options.dictionary, _changes(options)
    del changes["dictionary"]
    bundle = import_dictionary(options.out, path, changes, not options.quiet, options.device)
    if not options.quiet:
        print(describe(bundle.manifest))
        print(f"\nopen it with: tfactors dashboard {options.out}")


def _import_site(options: argparse.Namespace) -> None:
    from tfactors.interchange.website_2021.site import import_site

    bundle = import_site(options.site, options.out, not options.quiet)
    if not options.quiet:
        print(describe(bundle.manifest))
        print(f"\nopen it with: tfactors dashboard {options.out}")


def _export(options: argparse.Namespace) -> None:
    bundle = Bundle.open(options.bundle)
    from tfactors.interchange.export import write_dictionary_file

    write_dictionary_file(bundle, options.out, options.format)
    if options.json:
        print(json.dumps({"written": str(options.out), "format": options.format}))
    else:
        print(f"{options.out}: {bundle.n_factors:,} factors of {bundle.width} numbers")


def _build(options: argparse.Namespace) -> None:
    from tfactors.stages.build import build

    settings = with_changes(options.preset, **_changes(options))
    bundle = build(options.out, settings, not options.quiet, options.device)
    if not options.quiet and leads():
        print(describe(bundle.manifest))
        print(f"\nopen it with: tfactors dashboard {options.out}")


def _verify(options: argparse.Namespace) -> None:
    bundle = Bundle.open(options.bundle)
    bundle.verify()
    files = bundle.manifest["files"]
    if options.json:
        print(json.dumps({"verified": True, "files": len(files)}))
    else:
        rows = sum(file["rows"] for file in files.values())
        print(f"{options.bundle}: {len(files)} files, {rows:,} rows, all as the manifest says")


def _info(options: argparse.Namespace) -> None:
    manifest = Bundle.open(options.bundle).manifest
    print(json.dumps(manifest, ensure_ascii=False) if options.json else describe(manifest))


def _explain(options: argparse.Namespace) -> None:
    bundle = Bundle.open(options.bundle)
    from tfactors.explain.saliency import explain
    from tfactors.explain.saliency_text import described

    methods = ("lime", "occlusion") if options.method == "both" else (options.method,)
    found = [
        explain(
            bundle, options.text, options.position, options.factor, options.layer, method=method,
            samples=options.samples, seed=options.seed, recipe=options.recipe,
            precision=options.precision, radius=options.radius,
        )
        for method in methods
    ]  # fmt: skip
    if not options.json:
        print(described(found))
    elif len(found) == 1:
        print(found[0].to_json())
    else:
        print(f"[{', '.join(one.to_json() for one in found)}]")


def _retention(options: argparse.Namespace) -> None:
    bundle = Bundle.open(options.bundle)
    from tfactors.explain.retention import RADII, retention_at

    table = retention_at(bundle, options.factor, options.layer, options.examples)
    kept, reach = table.iloc[0], None if table["reach"].isna()[0] else int(table["reach"][0])
    if options.json:
        curve = dict(zip(map(str, RADII), kept["curve"], strict=True))
        whole = {name: int(kept[name]) for name in ("factor", "layer", "examples")}
        shares = {name: float(kept[name]) for name in ("word", "sentence")}
        print(json.dumps(whole | shares | {"reach": reach, "curve": curve}))
        return
    print(f"factor {kept['factor']} at layer {kept['layer']}, {kept['examples']} examples")
    for name in ("word", "sentence"):
        print(f"{kept[name]:6.1%}  the {name} alone")
    for radius, share in zip(RADII, kept["curve"], strict=True):
        mark = "  reach" if radius == reach else ""
        print(f"{share:6.1%}  {radius} token{'s' if radius != 1 else ''} on each side{mark}")


def _decompose(options: argparse.Namespace) -> None:
    bundle = Bundle.open(options.bundle)
    from tfactors.explain.decomposition import decompose

    decomposition = decompose(bundle, options.text, penalty=options.penalty)
    print(
        decomposition.to_json()
        if options.json
        else decomposition.describe(bundle.factors["label"], layer=options.layer, top=options.top)
    )


def _evaluate(options: argparse.Namespace) -> None:
    bundle = Bundle.open(options.bundle)
    from tfactors.evaluate.evaluate import evaluate

    sections = evaluate(
        bundle, options.out, options.only, not options.quiet, options.device, senses=options.senses
    )
    if options.json:
        print(json.dumps([asdict(section) for section in sections], ensure_ascii=False))
        return
    for section in sections:
        print(f"{section.title} ({section.seconds:,.0f} s)")
        print("\n".join(f"  {finding}" for finding in section.findings))
    print(f"\nreport: {(options.out or folder_of(bundle.path)) / REPORT}")


def _dashboard(options: argparse.Namespace) -> None:
    packaged = Path(__file__).parent / "_app"
    root = packaged if packaged.is_dir() else Path(__file__).parent.parent
    environment = dict(os.environ)
    if options.bundle is not None:
        opened = Bundle.open(options.bundle)  # a bad folder is said here, not in the browser
        environment["TFACTORS_BUNDLE"] = str(opened.path.resolve())
    if options.model is not None:
        if not (options.model / "config.json").is_file():
            raise InputError(f"{options.model}: holds no config.json; give the folder of a model")
        environment["TFACTORS_MODEL"] = str(options.model.resolve())
    # The server starts in the folder of the pages, where nobody keeps bundles.
    if packaged.is_dir():
        environment.setdefault("TFACTORS_ARTIFACTS", str(Path("artifacts").resolve()))
    command = [
        sys.executable, "-m", "streamlit", "run", str(root / "dashboard.py"),
        "--server.port", str(options.port), "--browser.gatherUsageStats", "false",
        "--server.showEmailPrompt", "false",
    ]  # fmt: skip
    try:
        subprocess.run(command, cwd=root, env=environment, check=False)  # noqa: S603 - our own program
    except KeyboardInterrupt:  # Ctrl-C is how a server is stopped
        return


COMMANDS = {
    "build": _build,
    "import": _import,
    "import-site": _import_site,
    "verify": _verify,
    "info": _info,
    "explain": _explain,
    "decompose": _decompose,
    "retention": _retention,
    "evaluate": _evaluate,
    "dashboard": _dashboard,
    "export": _export,
}


if __name__ == "__main__":
    sys.exit(main())
