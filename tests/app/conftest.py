"""Every page that a test opens here reads the made-up bundles, and remembers nothing."""

import shutil
from pathlib import Path

import pytest
import streamlit as st
from synthetic_bundle import write_synthetic_bundle


@pytest.fixture(autouse=True)
def _fresh_caches(monkeypatch: pytest.MonkeyPatch, made_up: Path) -> None:
    st.cache_data.clear()
    st.cache_resource.clear()
    monkeypatch.delenv("TFACTORS_BUNDLE", raising=False)
    monkeypatch.setenv("TFACTORS_ARTIFACTS", str(made_up))


@pytest.fixture
def damaged(tmp_path: Path, made_up: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the first bundle alone, to be damaged."""
    shutil.copytree(made_up / "default", tmp_path / "default")
    monkeypatch.setenv("TFACTORS_ARTIFACTS", str(tmp_path))
    return tmp_path / "default"


@pytest.fixture
def older(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A bundle whose levels are by the rule of before November 26, 2026, alone."""
    write_synthetic_bundle(tmp_path / "default", older_rule=True)
    monkeypatch.setenv("TFACTORS_ARTIFACTS", str(tmp_path))
    return tmp_path / "default"


@pytest.fixture
def asks_minilm(over_minilm: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Let the pages read the made-up bundle over a real model, and return its folder."""
    monkeypatch.setenv("TFACTORS_ARTIFACTS", str(over_minilm))
    return over_minilm / "default"
