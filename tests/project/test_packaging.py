"""What a stranger gets: an installable package, a cloud app without torch, working commands."""

import json
import os
import re
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest
from synthetic_bundle import write_synthetic_bundle

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
REQUIRED = [
    line.strip()
    for line in (ROOT / "requirements.txt").read_text(encoding="utf-8").splitlines()
    if line.strip() and not line.startswith("#")
]
HEAVY = ("torch", "transformers", "lime", "numba", "sklearn", "scipy", "skimage", "matplotlib",
         "tqdm", "safetensors", "threadpoolctl")  # fmt: skip


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> Path:
    """The package as it would be published, unpacked."""
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "pip", "wheel", "--no-deps", "--wheel-dir", str(folder), "."]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    (built,) = folder.glob("tfactors-*.whl")
    zipfile.ZipFile(built).extractall(folder / "site")
    return folder / "site"


def run(
    code: str, path: Path = ROOT, folder: Path | None = None, **environment: str
) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, "-c", code],
        env=os.environ | {"PYTHONPATH": str(path)} | environment,
        cwd=folder or path,
        capture_output=True,
        text=True,
    )


# --- requirements.txt, for Community Cloud -----------------------------------------------------


def test_the_cloud_asks_for_the_versions_of_the_project():
    assert set(REQUIRED) <= set(PROJECT["project"]["dependencies"])


def test_what_the_cloud_file_says_to_add_is_what_the_project_needs():
    """Its comment lists the rest, with the versions of pyproject.toml; torch names a CPU build."""
    comment = (ROOT / "requirements.txt").read_text(encoding="utf-8")
    offered = re.findall(r"^#     ([a-z].*)$", comment, re.MULTILINE)
    minilm = PROJECT["project"]["optional-dependencies"]["minilm"]
    needed = {*PROJECT["project"]["dependencies"], *minilm} - set(REQUIRED)
    names = {re.split(r"[=<>]", requirement)[0] for requirement in needed} - {"torch", "tqdm"}
    assert {requirement for requirement in offered if not requirement.startswith("torch")} == {
        requirement for requirement in needed if re.split(r"[=<>]", requirement)[0] in names
    }
    assert "torch==2.13.0+cpu" in offered


PAGES = sorted(path.name for path in (ROOT / "pages").glob("*.py"))


@pytest.fixture(scope="module")
def cloud(tmp_path_factory) -> dict[str, str]:
    """What is wrong with each page where torch and the rest are as good as not installed."""
    folder = tmp_path_factory.mktemp("cloud") / "bundle"
    write_synthetic_bundle(folder, layers=7)
    code = f"""
import json, sys
from importlib.machinery import PathFinder
class WithoutHeavy(PathFinder):
    @classmethod
    def find_spec(cls, name, path=None, target=None):
        heavy = name.split(".")[0] in {HEAVY!r}
        return None if heavy else super().find_spec(name, path, target)
sys.meta_path[sys.meta_path.index(PathFinder)] = WithoutHeavy
sys.path.append({str(ROOT / "tests/support")!r})
import component_scan
from streamlit.testing.v1 import AppTest
wrong = {{}}
for name in {PAGES!r}:
    page = AppTest.from_file("dashboard.py", default_timeout=120).run()
    page = page.switch_page(f"pages/{{name}}").run()
    drawn = page.title or page.markdown or page.get("html")
    loaded = [name for name in {HEAVY!r} if name in sys.modules]
    wrong[name] = str(page.exception[0].value) if page.exception else "" if drawn else "empty"
    wrong[name] += f" {{loaded}}" if loaded else ""
print(json.dumps(wrong))
"""
    done = run(code, TFACTORS_BUNDLE=str(folder))
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.process
@pytest.mark.parametrize("page", PAGES)
def test_every_page_works_with_nothing_but_what_the_cloud_installs(cloud, page):
    assert cloud[page] == ""


# --- the package -------------------------------------------------------------------------------


def test_importing_the_package_costs_nothing():
    done = run(f"import sys, tfactors; print([m for m in {HEAVY!r} if m in sys.modules])")
    assert done.stdout.strip() == "[]"


@pytest.mark.process
def test_every_public_name_is_there_and_documented():
    code = (
        "import tfactors as tf\n"
        "for name in tf.__all__:\n"
        "    assert name == '__version__' or getattr(tf, name).__doc__, name\n"
        "print(len(tf.__all__))"
    )
    done = run(code)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) > 8


@pytest.mark.installation
def test_the_wheel_holds_the_dashboard_and_no_bundle_or_test(wheel):
    names = {path.relative_to(wheel).as_posix() for path in wheel.rglob("*") if path.is_file()}
    pages = {f"tfactors/_app/pages/{path.name}" for path in (ROOT / "pages").glob("*.py")}
    modules = {p.relative_to(ROOT).as_posix() for p in (ROOT / "tfactors").rglob("*.py")}
    assert pages | modules <= names
    assert {"tfactors/_app/dashboard.py", "tfactors/_app/.streamlit/config.toml"} <= names
    assert any(name.endswith("licenses/LICENSE") for name in names)
    assert {name.split("/")[0] for name in names if "dist-info" not in name} == {"tfactors"}
    assert not any(name.endswith(".parquet") for name in names)


@pytest.mark.installation
def test_every_page_of_the_installed_dashboard_shows_a_bundle_far_from_the_checkout(
    wheel, tmp_path
):
    write_synthetic_bundle(tmp_path / "bundle", layers=7)
    (tmp_path / "elsewhere").mkdir()
    code = f"""
import sys
from pathlib import Path
sys.path.append({str(ROOT / "tests/support")!r})
import component_scan
from streamlit.testing.v1 import AppTest
import tfactors
app = Path(tfactors.__file__).parent / "_app"
assert app.is_relative_to({str(wheel)!r}), app
for name in {PAGES!r}:
    page = AppTest.from_file(str(app / "dashboard.py"), default_timeout=120).run()
    page = page.switch_page(f"pages/{{name}}").run()
    assert not page.exception, (name, page.exception)
    assert page.title or page.markdown or page.get("html"), f"{{name}} is empty"
"""
    elsewhere = tmp_path / "elsewhere"
    done = run(code, wheel, elsewhere, TFACTORS_BUNDLE=str(tmp_path / "bundle"))
    assert done.returncode == 0, done.stderr


# --- make and CI -------------------------------------------------------------------------------


def dry_run(*arguments: str) -> list[str]:
    """The commands that make would run on a fresh machine."""
    done = subprocess.run(
        ["make", "--dry-run", "VENV=.no-such-venv", *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.replace("\\\n", " ").splitlines()


@pytest.mark.parametrize("target", ["dashboard", "test", "lint", "bundle"])
def test_torch_comes_first_and_on_linux_as_a_cpu_build(target):
    commands = dry_run(target)
    torch = next(i for i, line in enumerate(commands) if "import torch" in line)
    package = next(i for i, line in enumerate(commands) if "--editable" in line)
    assert torch < package
    wanted = "torch==2.13.0+cpu" if sys.platform == "linux" else '"torch"'
    assert wanted in commands[torch]


def test_make_alone_says_what_it_can_do():
    help_text = "\n".join(
        subprocess.run(["make"], cwd=ROOT, capture_output=True, text=True).stdout.splitlines()
    )
    for target in ("dashboard", "check", "test", "lint", "docs", "bundle", "verify", "clean"):
        assert f"make {target} " in help_text


def test_ci_runs_the_tests_of_make_and_the_linters():
    script = (ROOT / ".ci/run").read_text(encoding="utf-8")
    assert re.search(r"^make test\b", script, re.MULTILINE)
    assert re.search(r"^make lint\b", script, re.MULTILINE)
    assert os.access(ROOT / ".ci/run", os.X_OK)
    assert subprocess.run(["bash", "-n", ".ci/run"], cwd=ROOT).returncode == 0


def test_streamlit_knows_every_option_of_its_configuration():
    from streamlit import config

    known = config.get_config_options()
    options = tomllib.loads((ROOT / ".streamlit/config.toml").read_text(encoding="utf-8"))

    def names(section: dict, path: str) -> list[str]:
        return [
            full
            for key, value in section.items()
            for full in (
                names(value, f"{path}{key}.") if isinstance(value, dict) else [f"{path}{key}"]
            )
        ]

    unknown = [name for name in names(options, "") if name not in known]
    assert unknown == []
    assert options["browser"]["gatherUsageStats"] is False
