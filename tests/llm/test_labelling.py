"""A model behind real HTTP names factors and is scored; what it has answered is never lost."""

import json
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from scripted_llm import Asked, scripted

from tfactors.bundle import Bundle, llm_labels
from tfactors.bundle.llm_labels import Answer
from tfactors.bundle.writing import write_manifest
from tfactors.cli import main
from tfactors.llm.contexts import places_of

ROOT = Path(__file__).parents[2]


def answers(folder: Path) -> dict[tuple[int, str], Answer]:
    """By factor and task what is kept."""
    bundle = Bundle.open(folder)
    return {(row.factor, row.task): row for row in llm_labels.read(folder, bundle.about)}


def plain(rows: dict[tuple[int, str], Answer]) -> dict[tuple[int, str], tuple]:
    """The same without the dates."""
    return {at: (row.text, row.answer, row.prompt_sha256, row.score) for at, row in rows.items()}


def test_every_living_factor_gets_a_label_and_three_scores(bundle: Path, label, capsys) -> None:
    with scripted() as model:
        assert label(model) == 0
    rows = answers(bundle)
    assert sorted(at for at, task in rows if task == "label") == list(range(11))
    for (factor, task), row in rows.items():
        assert row.score is None if task == "label" else 0 <= row.score <= 1
        assert (row.other is not None) == (task == "shuffled")
        assert row.other is None or row.text == rows[row.other, "label"].text
        assert len(row.prompt_sha256) == 64
        assert (factor, "score") in rows or task == "label"
    scored = [at for at, task in rows if task == "score"]
    assert len(scored) >= 5
    means = {task: sum(rows[at, task].score for at in scored) / len(scored) for task in
             ("score", "shuffled")}  # fmt: skip
    said = capsys.readouterr().out
    assert f"its label                   {means['score']:.1%} of {len(scored)} factors" in said
    assert f"another factor's label      {means['shuffled']:.1%}" in said
    assert means["score"] > 0.7 > 0.55 > means["shuffled"]
    Bundle.open(bundle).verify()


def test_the_score_is_the_balanced_accuracy_of_what_the_model_said(bundle: Path, label) -> None:
    with scripted() as model:
        label(model, "--factors", "0")
        asked = next(a for a in model.asked if not a.for_label)
    places = places_of(Bundle.open(bundle), 0).asked
    assert [place["word"] for place in asked.data["places"]] == [place.word for place in places]
    row = answers(bundle)[0, "score"]
    fits = set(json.loads(row.answer)["fits"])
    active = [at in fits for at, place in enumerate(places, 1) if place.kind != "silent"]
    silent = [at not in fits for at, place in enumerate(places, 1) if place.kind == "silent"]
    right = sum(active) / len(active), sum(silent) / len(silent)
    assert row.score == pytest.approx(sum(right) / 2)
    assert len(active) >= 3 <= len(silent)


def test_no_window_is_both_shown_and_asked_about_and_silence_is_what_the_bundle_says(
    bundle: Path,
) -> None:
    opened = Bundle.open(bundle)
    for factor in range(11):
        found = places_of(opened, factor)
        assert not {p.window for p in found.shown} & {p.window for p in found.asked}
        contexts = opened.contexts(factor, found.layer)
        examples = opened.examples(factor, found.layer)
        window = dict(zip(examples["rank"], examples["window"], strict=True))
        active = {
            (window[row.rank], int(at)) for row in contexts.itertuples() for at in row.positions
        }
        silent = [p for p in (*found.shown, *found.asked) if p.kind == "silent"]
        assert silent
        assert not {(p.window, p.position) for p in silent} & active
        assert {p.window for p in silent} <= {at for at, _ in active}
        own = {word.casefold() for word in examples["word"]}
        known = [p for p in (*found.shown, *found.asked) if p.kind == "strong"]
        assert {p.word.casefold() for p in known} <= own
        assert found == places_of(opened, factor)


def test_what_is_answered_is_not_asked_again(bundle: Path, label) -> None:
    with scripted() as model:
        assert label(model, "--limit", "4") == 0
        first, kept = len(model.asked), plain(answers(bundle))
        assert label(model) == 0
        whole = len(model.asked)
        assert label(model) == 0
        assert len(model.asked) == whole
        later = plain(answers(bundle))
        assert {at: later[at] for at in kept} == kept
        assert len(later) == whole > first
        rest = [row for (_, task), row in answers(bundle).items() if task != "rule"]
        llm_labels.write(bundle, Bundle.open(bundle).about, rest)
        assert label(model) == 0
        assert len(model.asked) == whole + whole - len(rest)  # the names by rule, and no more
    assert plain(answers(bundle)) == later


def test_no_more_requests_are_under_way_than_allowed(label) -> None:
    gate, lock, waiting, asking = threading.Event(), threading.Lock(), [], set()

    def script(asked: Asked) -> None:
        with lock:
            waiting.append(asked.number)
            asking.update(t.name for t in threading.enumerate() if t.name.startswith("asks"))
            if len(waiting) >= 3:
                gate.set()
        gate.wait(60)  # until three are here

    with scripted(script) as model:
        assert label(model, "--at-once", "3") == 0
        assert model.most_at_once == 3
        assert asking == {"asks 0", "asks 1", "asks 2"}  # so that no fourth can come
    with scripted() as model:
        assert label(model, "--at-once", "1", "--factors", "0") == 0
        assert model.most_at_once <= 1


@pytest.mark.process
def test_a_run_that_is_killed_goes_on_where_it_was(bundle: Path, label, small: Path) -> None:
    """SIGKILL while the tenth request is under way: the nine answers before it are kept."""
    reached, gate = threading.Event(), threading.Event()

    def script(asked: Asked) -> None:
        if asked.number >= 9 and not gate.is_set():
            reached.set()
            gate.wait(60)

    with scripted(script) as model:
        command = [sys.executable, "-m", "tfactors", "label", str(bundle), "--llm", "scripted"]
        command += ["--endpoint", model.address, "--quiet", "--at-once", "1"]
        run = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL)
        assert reached.wait(120)
        run.kill()
        run.wait()
        gate.set()
        before = plain(answers(bundle))
        assert len(before) == 9
        Bundle.open(bundle).verify()
        asked = len(model.asked)
        assert label(model) == 0
        assert len(answers(bundle)) == len(before) + len(model.asked) - asked
    resumed = plain(answers(bundle))
    assert {at: resumed[at] for at in before} == before


@pytest.mark.process
def test_ctrl_c_ends_it_at_once_and_keeps_what_is_there(bundle: Path) -> None:
    reached, gate = threading.Event(), threading.Event()

    def script(asked: Asked) -> None:
        if asked.number >= 5:
            reached.set()
            gate.wait(60)

    with scripted(script) as model:
        command = [sys.executable, "-m", "tfactors", "label", str(bundle), "--llm", "scripted"]
        command += ["--endpoint", model.address, "--quiet", "--at-once", "1"]
        run = subprocess.Popen(
            command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
        )  # fmt: skip
        assert reached.wait(120)
        run.send_signal(signal.SIGINT)
        _, said = run.communicate(timeout=60)  # while its request is still unanswered
        gate.set()
    assert run.returncode == 130
    assert said.strip() == "tfactors: interrupted; the same command goes on from here"
    assert len(answers(bundle)) == 5
    Bundle.open(bundle).verify()
    assert not [name for name in os.listdir(bundle) if "part" in name]


def test_a_dry_run_sends_nothing_and_prints_the_plan_and_a_whole_prompt(
    bundle: Path, label, capsys
) -> None:
    with scripted() as model:
        assert label(model, "--dry-run", "--level", "low", "--limit", "2") == 0
        assert not model.asked
    said = capsys.readouterr().out
    assert "factors   2, of which 0 have an answer already" in said
    assert "requests  2 for labels, up to 6 for scores" in said
    assert "price     unknown: give --price-in and --price-out" in said
    data = json.loads(said[said.index('{"active_strongest"') :])
    assert set(data) == {"active_strongest", "active_at_random", "silent"}
    assert not llm_labels.is_there(bundle)


def test_tokens_and_their_price_are_told_before_the_first_request(label, capsys) -> None:
    said: list[str] = []

    def script(asked: Asked) -> None:
        said.append(capsys.readouterr().out)

    with scripted(script) as model:
        price = ("--price-in", "1000", "--price-out", "2000")
        assert label(model, "--factors", "0", "--at-once", "1", *price) == 0
        sent = sum(len(json.dumps(a.body["messages"])) for a in model.asked)
        assert "about" in said[0]
        told = int(said[0].partition("tokens    about ")[2].split()[0].replace(",", ""))
        assert 0.15 * sent < told < 0.35 * sent * 3 / 2
        assert f"price     about {(1000 * told + 2000 * 130) / 1e6:,.2f}" in said[0]
    asked = len(model.asked)
    last = capsys.readouterr().out
    assert f"{100 * asked:,} tokens sent and {10 * asked:,} returned" in last
    assert f"price {(1000 * 100 * asked + 2000 * 10 * asked) / 1e6:,.2f}" in last


def test_a_bundle_that_does_not_say_where_factors_are_silent_gets_labels_without_scores(
    bundle: Path, label, capsys
) -> None:
    manifest = Bundle.open(bundle).manifest
    for name in ("contexts", "samples"):
        (bundle / f"{name}.parquet").unlink()
    write_manifest(bundle, manifest)
    with scripted() as model:
        assert label(model, "--limit", "3") == 0
        assert {frozenset(k for k, v in a.data.items() if v) for a in model.asked} == {
            frozenset({"active_strongest"})
        }
    assert {task for _, task in answers(bundle)} == {"label"}
    assert "3 of 3 factors have a label by scripted" in capsys.readouterr().out


def test_labels_of_two_models_stand_side_by_side_and_the_newest_is_shown(
    bundle: Path, label
) -> None:
    with scripted() as model:
        label(model, "--factors", "0")
        label(model, "--factors", "0", "--llm", "another")
    rows = llm_labels.read(bundle, Bundle.open(bundle).about)
    assert {row.model for row in rows} == {"scripted", "another"}
    assert llm_labels.newest_labels(rows)[0].model in {"scripted", "another"}


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--factors", "99"], "factor 99: this bundle has the factors 0 to 11"),
        (["--factors", "11"], "no living factor is left"),  # the last one is dead
        (["--endpoint", "localhost:1"], "--endpoint: expected an address"),
        (["--endpoint", "http://me:secret@localhost/v1"], "without a name, password"),
        (["--llm", "a\nb"], "--llm: a name of at most 100 letters"),
    ],
)
def test_a_mistake_is_one_line_and_asks_nothing(bundle: Path, label, capsys, options, says) -> None:
    with scripted() as model:
        assert label(model, *options) == 2
        assert not model.asked
    (line,) = capsys.readouterr().err.splitlines()
    assert says in line
    assert "secret" not in line


def test_without_the_client_one_line_says_what_to_install(
    bundle: Path, monkeypatch, capsys
) -> None:
    monkeypatch.setitem(sys.modules, "openai", None)
    where = ["--endpoint", "http://127.0.0.1:1/v1", "--llm", "x", "--factors", "0"]
    assert main(["label", str(bundle), *where, "--dry-run"]) == 0
    assert main(["label", str(bundle), *where]) == 2
    assert "pip install 'tfactors[llm]'" in capsys.readouterr().err
