"""What objects say of the model."""

from __future__ import annotations

from dataclasses import replace

import pytest

from brainseg_runtime.studies.written.about import About, plain
from tests.runtime.studies.written.made_results import PROVENANCE


def test_an_unsealed_model_is_named_by_its_own_digest() -> None:
    about = About(provenance=replace(PROVENANCE, bundle_digest=None, threshold=None))
    assert about.digest == PROVENANCE.model_digest
    assert "bundle SHA-256 none (unsealed)" in about.parameters
    assert "threshold unknown" in about.parameters


@pytest.mark.parametrize(
    ("model", "name", "version"),
    [
        ("resunet 1.0.0", "resunet", "1.0.0"),
        ("my net 2", "my net", "2"),
        ("bare", "bare", None),
        ("", "unnamed", "model"),
    ],
)
def test_name_and_version_are_told_apart(model: str, name: str, version: str | None) -> None:
    about = About(provenance=replace(PROVENANCE, model=model))
    assert about.name == name
    assert version is None or about.version == version


def test_texts_fit_into_dicom_strings() -> None:
    assert plain("a\\b\n\x00ü" + "x" * 99) == "a/b?" + "x" * 60
