"""One engine in an environment of its own: opens a model, segments images, writes the answers and the time.

Started by `engines_elsewhere`, which passes a job as JSON. Nothing but numpy and the engine is there.

Legend: H rows, W columns.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

Answer: TypeAlias = tuple[Any, Any]
"""Mask and probability, each of H x W values in some shape."""
Image: TypeAlias = Any
Segment: TypeAlias = Callable[[Image], Answer]
"""Takes (1, H, W, 3) uint8."""

WARM = 3
"""Slices that are segmented before time is taken."""


def onnxruntime(path: Path, _: tuple[int, int]) -> Segment:
    import onnxruntime as engine

    options = engine.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 4
    session = engine.InferenceSession(path.read_bytes(), options, providers=["CPUExecutionProvider"])
    return lambda image: tuple(session.run(["mask", "probability"], {"image": image}))


def ort_format(path: Path, shape: tuple[int, int]) -> Segment:
    """The file converted to onnxruntime's own format, as its builds for phones take it."""
    import onnxruntime as engine

    made = path.with_suffix(".ort")
    options = engine.SessionOptions()
    options.optimized_model_filepath = str(made)
    options.graph_optimization_level = engine.GraphOptimizationLevel.ORT_ENABLE_BASIC
    options.add_session_config_entry("session.save_model_format", "ORT")
    engine.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    return onnxruntime(made, shape)


def openvino(path: Path, _: tuple[int, int]) -> Segment:
    return _openvino(path, {})


def openvino_f32(path: Path, _: tuple[int, int]) -> Segment:
    return _openvino(path, {"INFERENCE_PRECISION_HINT": "f32"})


def _openvino(path: Path, settings: Mapping[str, str]) -> Segment:
    import openvino as engine

    core = engine.Core()
    processor = {"INFERENCE_NUM_THREADS": "1", **settings}
    model = core.compile_model(core.read_model(str(path)), "CPU", processor)

    def segment(image: Image) -> Answer:
        found = model([image])
        return found["mask"], found["probability"]

    return segment


def tract(path: Path, shape: tuple[int, int]) -> Segment:
    import tract as engine

    model = engine.onnx().load(str(path))
    model.set_input_fact(0, f"1,{shape[0]},{shape[1]},3,u8")
    runnable = model.into_model().into_runnable()

    def segment(image: Image) -> Answer:
        mask, probability = runnable.run([image])
        return mask.to_numpy(), probability.to_numpy()

    return segment


def opencv(path: Path, _: tuple[int, int]) -> Segment:
    import cv2

    cv2.setNumThreads(1)
    net = cv2.dnn.readNetFromONNX(str(path))

    def segment(image: Image) -> Answer:
        net.setInput(image, "image")
        mask, probability = net.forward(["mask", "probability"])
        return mask, probability

    return segment


def mnn(path: Path, shape: tuple[int, int]) -> Segment:
    """Converted by the function behind `mnnconvert`: the command itself installs a package and reports to its maker."""
    import _tools
    from MNN import expr, nn

    made = path.with_suffix(".mnn")
    _tools.mnnconvert(["mnnconvert", "-f", "ONNX", "--modelFile", str(path), "--MNNModel", str(made), "--bizCode", "x"])
    net = nn.load_module_from_file(str(made), ["image"], ["mask", "probability"])

    def segment(image: Image) -> Answer:
        given = expr.const(image, [1, *shape, 3], expr.NCHW, expr.uint8)
        found = net.onForward([given])
        if len(found) != 2:
            raise RuntimeError(f"returns {len(found)} outputs and raises nothing")
        return tuple(expr.convert(each, expr.NCHW).read() for each in found)

    return segment


def litert(path: Path, shape: tuple[int, int]) -> Segment:
    """Converted by onnx2tf with the shape stated, by way of TensorFlow, to a .tflite file of 32-bit floats."""
    # The converter would fetch images to compare its operators on; these are not from the network.
    noise = np.random.default_rng(0).random((20, 128, 128, 3), np.float32)
    np.save("calibration_image_sample_data_20x128x128x3_float32.npy", noise)
    import onnx2tf
    from ai_edge_litert.interpreter import Interpreter

    made = path.with_name(f"{path.stem}-{shape[0]}x{shape[1]}-tflite")
    sizes = [f"image:1,{shape[0]},{shape[1]},3"]
    onnx2tf.convert(
        str(path),
        output_folder_path=str(made),
        overwrite_input_shape=sizes,
        keep_shape_absolutely_input_names=["image"],
        non_verbose=True,
    )
    net = Interpreter(str(next(made.glob("*_float32.tflite"))), num_threads=1)
    net.allocate_tensors()
    given = net.get_input_details()[0]["index"]
    places = {np.dtype(each["dtype"]): each["index"] for each in net.get_output_details()}

    def segment(image: Image) -> Answer:
        net.set_tensor(given, image)
        net.invoke()
        return net.get_tensor(places[np.dtype(np.uint8)]), net.get_tensor(places[np.dtype(np.float32)])

    return segment


ENGINES: Mapping[str, Callable[[Path, tuple[int, int]], Segment]] = {
    each.__name__: each for each in (onnxruntime, ort_format, openvino, openvino_f32, tract, opencv, mnn, litert)
}


def main(job_file: str) -> int:
    """Segment the images of a job: `engine`, `package`, `models` {"HxW": path}, `images` (paths), `timed`, `out`."""
    job = json.loads(Path(job_file).read_text(encoding="utf-8"))
    images = [np.load(path) for path in job["images"]]
    segments: dict[tuple[int, int], Segment] = {}
    answers: dict[str, Any] = {}
    seconds = []
    for number, image in enumerate(images):
        shape = (image.shape[1], image.shape[2])
        if shape not in segments:
            path = Path(job["models"].get(f"{shape[0]}x{shape[1]}", job["models"].get("any")))
            segments[shape] = ENGINES[job["engine"]](path, shape)
        started = time.process_time()
        mask, probability = segments[shape](image)
        spent = time.process_time() - started
        if number >= job["timed"] + WARM:
            seconds.append(spent)
        answers[f"{number}.mask"] = np.array(mask).reshape(shape).astype(np.float32)
        answers[f"{number}.probability"] = np.array(probability).reshape(shape).astype(np.float32)
    np.savez(job["out"], **answers)
    result = {"version": version(job["package"]), "seconds": float(np.median(seconds)) if seconds else None}
    sys.stdout.write("\n" + json.dumps(result) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
