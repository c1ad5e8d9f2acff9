"""The files that tools and people look for in a repository say what is so."""

import re
import tomllib
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
MAKEFILE = (ROOT / "Makefile").read_text("utf-8")
TARGETS = set(re.findall(r"^([a-z]+):", MAKEFILE, re.MULTILINE))


def read_yaml(name: str):
    return yaml.safe_load((ROOT / name).read_text("utf-8"))


# --- continuous integration ----------------------------------------------------------------------


def test_the_workflow_runs_the_targets_of_the_makefile_and_nothing_else():
    (job,) = read_yaml(".github/workflows/ci.yml")["jobs"].values()
    commands = [step["run"] for step in job["steps"] if "run" in step]
    assert commands == ["make PYTHON=python ${{ matrix.target }}"]
    matrix = job["strategy"]["matrix"]
    targets = {*matrix["target"], *(job["target"] for job in matrix["include"])}
    assert targets == {"lint", "check", "test", "docs"}


def test_the_workflow_tries_every_python_that_the_project_names():
    (job,) = read_yaml(".github/workflows/ci.yml")["jobs"].values()
    named = {line.rpartition(" :: ")[2] for line in PROJECT["classifiers"]}
    assert set(job["strategy"]["matrix"]["python"]) == {v for v in named if "." in v}


def test_the_workflow_may_only_read_and_pins_its_actions():
    workflow = read_yaml(".github/workflows/ci.yml")
    (job,) = workflow["jobs"].values()
    assert workflow["permissions"] == {"contents": "read"}
    assert "permissions" not in job
    actions = [step["uses"] for step in job["steps"] if "uses" in step]
    assert actions
    assert all(re.fullmatch(r"actions/[a-z-]+@v\d+", action) for action in actions)


def test_before_a_commit_the_commands_of_make_lint_run():
    hooks = {
        hook["id"]: hook
        for repository in read_yaml(".pre-commit-config.yaml")["repos"]
        for hook in repository["hooks"]
    }
    recipe = re.search(r"^lint:.*\n((?:\t.*\n)+)", MAKEFILE, re.MULTILINE)[1]
    commands = [line.strip().replace("$(VENV)", ".venv") for line in recipe.splitlines()]
    for command in commands:
        entry = command.replace(" --check", "")
        assert any(hook.get("entry", "").startswith(entry) for hook in hooks.values()), command
    assert {"trailing-whitespace", "check-added-large-files", "check-yaml", "check-toml"} <= {
        *hooks
    }


# --- citation and security -----------------------------------------------------------------------


def test_the_citation_names_this_version_and_the_paper():
    citation = read_yaml("CITATION.cff")
    assert citation["cff-version"] == "1.2.0"
    assert citation["title"] == PROJECT["name"]
    assert citation["version"] == PROJECT["version"]
    assert citation["license"] == PROJECT["license"]
    assert [author["name"] for author in citation["authors"]] == [
        author["name"] for author in PROJECT["authors"]
    ]
    (paper,) = citation["references"]
    assert [person["family-names"] for person in paper["authors"]] == [
        "Yun",
        "Chen",
        "Olshausen",
        "LeCun",
    ]
    assert paper["year"] == 2021
    assert paper["identifiers"][0]["value"] == "arXiv:2103.15949"


def test_the_security_policy_names_no_address_and_says_how_to_report():
    policy = (ROOT / "SECURITY.md").read_text("utf-8")
    assert "Report a vulnerability" in policy
    assert not re.search(r"\S+@\S+\.\S+|mailto:", policy)


def test_no_source_runs_what_the_security_policy_says_is_never_run():
    sources = "\n".join(path.read_text("utf-8") for path in (ROOT / "tfactors").rglob("*.py"))
    assert not re.search(r"\bpickle\.loads?\(|allow_pickle=True|weights_only=False", sources)
    assert "trust_remote_code=True" not in sources.replace(" ", "")
    assert not re.search(r'"trust_remote_code": True', sources)
    loads = re.findall(r"torch\.load\([^)]*\)", sources)
    assert all("weights_only=True" in load for load in loads)
    arrays = re.findall(r"np\.load\([^)]*\)", sources)
    assert all("allow_pickle=False" in load for load in arrays)


# --- changelog -----------------------------------------------------------------------------------


def test_the_changelog_has_its_groups_in_order_and_the_newest_version_first():
    text = (ROOT / "CHANGELOG.md").read_text("utf-8")
    versions = re.findall(r"^## \[?([^\]\s]+)", text, re.MULTILINE)
    assert versions[0] == "Unreleased"
    order = ["Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"]
    for version in re.split(r"^## ", text, flags=re.MULTILINE)[1:]:
        groups = re.findall(r"^### (.*)$", version, re.MULTILINE)
        assert groups
        assert groups == [name for name in order if name in groups]
