#!/usr/bin/env bash
# ONNX has a place for pruned weights, sparse initializers, that most of its own tools cannot read.
#
# Guess: what `onnx.checker` passes, onnx's strict shape inference, version converter and reference evaluator take as well, and
#   ONNX Runtime at best.
# What happens: the checker passes a layer with its pruned weight as a sparse initializer, and ONNX Runtime multiplies by it rightly.
#   The three others fail: strict shape inference takes the weight's rank for 0 (without `strict_mode` it says nothing and leaves the shape
#   out), the version converter calls the weight undefined, and the reference evaluator cannot be made ("SparseTensorProto has no
#   data_location field"). A pruned network saved that way is smaller from a density of a third down (12 bytes a
#   kept weight, with its int64 index, for 4 of a dense one), can be run, and can be neither moved to another opset nor compared with
#   the reference.
# Versions: onnx 1.23.2, onnxruntime 1.32.0, numpy 2.3.5, Python 3.11; November 2026.
# Seen: checker passes
#       strict shape inference InferenceError
#       ONNX Runtime right
#       reference evaluator ValueError
#       version converter ConvertError
set -euo pipefail
cd "$(mktemp -d)"
python3 -m venv venv
venv/bin/python -m pip install --quiet --disable-pip-version-check \
  'onnx==1.23.2' 'onnxruntime==1.32.0' 'numpy==2.3.5'
cat > look.py <<'P'
import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper, shape_inference, version_converter
from onnx.reference import ReferenceEvaluator

rng = np.random.default_rng(0)
weight = (rng.normal(size=(6, 5)) * (rng.random((6, 5)) < 0.3)).astype("float32")
images = rng.normal(size=(3, 6)).astype("float32")
kept = np.flatnonzero(weight)
sparse = helper.make_sparse_tensor(
    numpy_helper.from_array(weight.ravel()[kept], "weight"),
    numpy_helper.from_array(kept.astype("int64"), "indices"),
    list(weight.shape),
)
value = helper.make_tensor_value_info
graph = helper.make_graph(
    [helper.make_node("MatMul", ["images", "weight"], ["out"])],
    "layer",
    [value("images", TensorProto.FLOAT, [None, 6])],
    [value("out", TensorProto.FLOAT, [None, 5])],
    sparse_initializer=[sparse],
)
model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)


def by_runtime():
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    (out,) = session.run(None, {"images": images})
    return "right" if np.allclose(out, images @ weight, atol=1e-5) else "wrong"


for name, tried in {
    "checker": lambda: onnx.checker.check_model(model),
    "strict shape inference": lambda: shape_inference.infer_shapes(model, strict_mode=True) and None,
    "ONNX Runtime": by_runtime,
    "reference evaluator": lambda: ReferenceEvaluator(model).run(None, {"images": images}) and None,
    "version converter": lambda: version_converter.convert_version(model, 21) and None,
}.items():
    try:
        print(name, tried() or "passes")
    except Exception as error:
        print(name, type(error).__name__)
P
seen=$(venv/bin/python look.py)
echo "$seen"
test "$seen" = 'checker passes
strict shape inference InferenceError
ONNX Runtime right
reference evaluator ValueError
version converter ConvertError'
