"""What other engines are given: a bundle's files in three forms, its golden cases, and real slices.

Legend: N batch, H rows, W columns.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import onnx
import onnxruntime
from numpy.typing import NDArray

from brainseg_runtime.bundles.bundle import Bundle
from brainseg_runtime.bundles.golden import decode
from brainseg_runtime.contract import CONTRACT
from brainseg_runtime.images import read_image, read_mask, scan_dataset
from brainseg_runtime.inference.sessions import native_errors

SHIPPED: Final = "as shipped"
FIXED: Final = "fixed shape"
FOLDED: Final = "fixed and folded"
FORMS: Final = (SHIPPED, FIXED, FOLDED)


@dataclass(frozen=True, kw_only=True)
class Case:
    """One golden image with the answers by variant."""

    image: NDArray[np.uint8]
    """(1, H, W, 3)."""
    answers: Mapping[str, tuple[NDArray[np.uint8], NDArray[np.float32]]]
    """Mask and probability, (H, W)."""


def golden_cases(bundle: Bundle) -> tuple[Case, ...]:
    """A bundle's golden cases, image by image."""
    cases = decode(bundle.files[str(bundle.manifest.golden)])
    return tuple(
        Case(
            image=case.image[n : n + 1],
            answers={name: (answer.mask[n], answer.probability[n]) for name, answer in case.answers.items()},
        )
        for case in cases
        for n in range(len(case.image))
    )


def real_slices(data: Path, count: int) -> tuple[NDArray[np.uint8], ...]:
    """The slice with the largest tumour of each of the first patients, (1, H, W, 3), of 256 x 256 alone."""
    slices = []
    for patient in scan_dataset(data):
        masks = {each.image: read_mask(each.mask) for each in patient.slices if each.mask is not None}
        image = read_image(max(masks, key=lambda path: int(masks[path].sum())))
        if image.shape == (256, 256, 3):
            slices.append(image[None])
        if len(slices) == count:
            break
    return tuple(slices)


def write_form(form: str, model: bytes, shapes: Iterable[tuple[int, ...]], folder: Path) -> dict[str, str] | str:
    """Write a model in a form, for each shape where the form has one; or why it cannot be made.

    Returns:
        Paths by ``HxW``, or one under ``any``.
    """
    folder.mkdir(exist_ok=True)
    if form == SHIPPED:
        (folder / "shipped.onnx").write_bytes(model)
        return {"any": str(folder / "shipped.onnx")}
    paths = {}
    for height, width in shapes:
        path = folder / f"{form.replace(' ', '-')}-{height}x{width}.onnx"
        try:
            (_fix if form == FIXED else _fold)(model, {"N": 1, "H": height, "W": width}, path)
        except native_errors() as error:
            return f"onnxruntime cannot write it: {str(error).splitlines()[0][:200]}"
        paths[f"{height}x{width}"] = str(path)
    return paths


def _fix(model: bytes, lengths: Mapping[str, int], path: Path) -> None:
    """State the lengths of the inputs' and outputs' axes."""
    loaded = onnx.load_from_string(model)
    tensors = {tensor.name: tensor for tensor in (*loaded.graph.input, *loaded.graph.output)}
    for wanted in (CONTRACT.input, *CONTRACT.outputs):
        axes = tensors[wanted.name].type.tensor_type.shape.dim
        for axis, name in zip(axes, wanted.shape, strict=True):
            axis.dim_value = lengths.get(name) or int(name)
    onnx.save(loaded, path)


def _fold(model: bytes, lengths: Mapping[str, int], path: Path) -> None:
    """Compute what the lengths settle, with onnxruntime's optimisations that stay within standard ONNX."""
    declared = onnx.load_from_string(model).graph.input[0].type.tensor_type.shape.dim
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
    options.optimized_model_filepath = str(path)
    options.log_severity_level = 4
    for axis, name in zip(declared, CONTRACT.input.shape, strict=True):
        if axis.dim_param:
            options.add_free_dimension_override_by_name(axis.dim_param, lengths[name])
    onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
