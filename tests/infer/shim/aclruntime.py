"""A stand-in for the card's `aclruntime` 0.0.2 over onnxruntime, so that the genuine ais_bench runs a CPU model.

With this folder on PYTHONPATH, `python3 -m ais_bench --model m.om ...` runs m.om, an ONNX file of that name. Whoever
has ais_bench can so compare it with `python -m infer --model m.onnx ...` without a card: docs/npu_host.md has the
commands. Made for the ais_bench of 2025; that of 2023 expects durations where this gives start and end.

Behaviour is that of docs/facts/ais_bench.md, sections 4.5 (what is timed), 5.1 (lines of the device layer), 7 (gears),
10 (errors), 11 (names). Not here: --pipeline, --profiler, --dump, dynamic AIPP. An ONNX with the metadata `omline.spec`
has the gears of that spec, as an OM built from it has. Independent of the package `infer`, which it is compared with.
"""

import json
import sys
import time
from pathlib import Path

import numpy as np
import onnxruntime
from aclruntime_tensors import BaseTensor, Description, MemorySummary, Tensor

__all__ = ["BaseTensor", "InferenceSession", "MemorySummary", "Tensor", "infer_options", "session_options"]

GENERAL_FAILURE = "[-1][ACL: general failure] "


def say(line):
    """One line of the device layer, at once."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


class session_options:  # the names are aclruntime's
    """Options of a session."""

    def __init__(self):
        self.acl_json_path = ""
        self.log_level = 2
        self.loop = 1


class Times:
    """Start and end of every execution: milliseconds since the session began, as float32 (section 4.5)."""

    def __init__(self, times):
        self.exec_time_list = times


class InferenceSession:
    """A model on the device."""

    def __init__(self, path, device, options):
        for line in ("acl init success", f"open device {device} success", "create new context"):
            say(f"[INFO] {line}")
        self._options, self._times, self._start = options, [], time.perf_counter()
        settings = onnxruntime.SessionOptions()
        settings.log_severity_level = 4
        try:
            self._session = onnxruntime.InferenceSession(path, settings, providers=["CPUExecutionProvider"])
        except Exception as error:
            say(f"[ERROR] load model from file failed, model file is {path}")
            raise RuntimeError(GENERAL_FAILURE) from error
        say(f"[INFO] load model {path} success")
        say("[INFO] create model description success")
        self._gears = gears(self._session)
        self._inputs = [Description(value) for value in self._session.get_inputs()]
        self._outputs = [Description(value) for value in self._session.get_outputs()]
        self._is_settled = not any(-1 in tensor.shape for tensor in self._inputs)
        self._is_dynamic = not self._is_settled

    def get_inputs(self):
        return self._inputs

    def get_outputs(self):
        return self._outputs

    def options(self):
        return self._options

    def set_context(self):
        pass

    def set_staticbatch(self):
        pass

    def set_dynamic_batchsize(self, batch):
        self._has_gears("batch_sizes", "[ERROR] the dynamic_batch_size parameter is not specified for model conversion")
        if self._gears.get("batch_sizes") and batch not in self._gears["batch_sizes"]:
            self._fail(f"[ERROR] the dymBatch parameter is not correct, legal: {self._gears['batch_sizes']}")
        say("[INFO] check dynamic batch success")
        self._settle(
            (batch, *tensor.shape[1:]) if tensor.shape[:1] == [-1] else tensor.shape for tensor in self._inputs
        )

    def get_max_dym_batchsize(self):
        return max(self._gears.get("batch_sizes") or [4096])

    def set_dynamic_hw(self, height, width):
        self._has_gears("image_sizes", "[ERROR] the dynamic_image_size parameter is not specified for model conversion")
        if self._gears.get("image_sizes") and [height, width] not in self._gears["image_sizes"]:
            self._fail(f"[ERROR] the dymHW parameter is not correct, legal: {self._gears['image_sizes']}")
        say("[INFO] check dynamic image size success.")
        self._settle(with_size(tensor.shape, height, width) for tensor in self._inputs)

    def set_dynamic_dims(self, text):
        self._has_gears("dims", "[ERROR] the dynamic_dims parameter is not specified for model conversion")
        shapes = named_shapes(text)
        for tensor in self._inputs:
            shape = shapes.get(tensor.name, tensor.shape)
            open_ones = [side for side, fixed in zip(shape, tensor.shape, strict=False) if fixed == -1]
            if open_ones and self._gears.get("dims") and open_ones not in self._gears["dims"]:
                self._fail("[ERROR] the dynamic_dims parameter is not correct")
        self._settle(shapes.get(tensor.name, tensor.shape) for tensor in self._inputs)

    def set_dynamic_shape(self, text):
        shapes = named_shapes(text)
        given = text.count(";") + 1
        if given != len(self._inputs):
            self._fail(f"[ERROR] om model has {len(self._inputs)} input, but dymShape parametet give {given}")
        if any(tensor.name not in shapes for tensor in self._inputs):
            self._fail("[ERROR] the dymShape parameter set error, please check input name")
        self._settle(shapes.get(tensor.name, tensor.shape) for tensor in self._inputs)

    def set_custom_outsize(self, sizes):
        pass

    def get_dym_aipp_input_exist(self):
        return 0

    def create_tensor_from_fileslist(self, _description, files):
        data = b""
        for file in files:
            data += Path(file).read_bytes()
        tensor = Tensor(np.frombuffer(data, np.int8))
        tensor.to_device(0)
        return tensor

    def run(self, names, feeds):
        if not self._is_settled:
            self._fail("[WARN] check failed dym gearcount:1 but dymtype:0 not set")
        tensors = {}
        for index, (wanted, feed) in enumerate(zip(self._inputs, feeds, strict=True)):
            data = feed.on_device()
            if data.nbytes != wanted.realsize:
                sizes = f"in size:{data.nbytes} needsize:{wanted.realsize}"
                say(f"[ERROR] check i:{index} name:{wanted.name} {sizes} not match")
                self._fail("[ERROR] check input vector failed ret:-1")
            tensors[wanted.name] = data.view(wanted.dtype).reshape(wanted.real_shape)
        outputs = self._execute(list(names), tensors)
        return [Tensor(output) for output in outputs]

    def run_pipeline(self, *_):
        raise NotImplementedError("this stand-in has no pipeline mode")

    def sumary(self):  # aclruntime's spelling
        return Times(list(self._times))

    def reset_sumaryinfo(self):
        self._times.clear()

    def free_resource(self):
        say("[INFO] unload model success, model Id is 1")
        say("[INFO] end to reset device 0")

    @staticmethod
    def finalize():
        say("[INFO] end to finalize acl")

    def _execute(self, names, tensors):
        outputs = []
        for number in range(1, self._options.loop + 1):
            start = time.perf_counter() - self._start
            outputs = self._session.run(names, tensors)
            end = time.perf_counter() - self._start
            self._times.append((float(np.float32(start * 1000)), float(np.float32(end * 1000))))
            if self._options.loop > 1:
                sys.stdout.write(f"\rloop inference exec: ({number}/{self._options.loop})")
        if self._options.loop > 1:
            say("")
        return outputs

    def _has_gears(self, kind, message):
        if not self._is_dynamic or (self._gears and not self._gears.get(kind)):
            self._fail(message)

    def _settle(self, shapes):
        for tensor, shape in zip(self._inputs, shapes, strict=True):
            tensor.settle(shape)
        self._is_settled = True

    def _fail(self, line):
        say(line)
        raise RuntimeError(GENERAL_FAILURE)


def gears(session):
    """The gears that the model's spec names: kind -> legal values."""
    text = session.get_modelmeta().custom_metadata_map.get("omline.spec")
    options = json.loads(text).get("atc", {}) if text else {}
    return {kind: options[kind] for kind in ("batch_sizes", "image_sizes", "dims") if options.get(kind)}


def with_size(shape, height, width):
    """A shape with its two open axes set."""
    sizes = iter((height, width))
    return tuple(next(sizes) if side == -1 else side for side in shape)


def named_shapes(text):
    """`name:1,2;other:3` as shapes by name."""
    entries = (entry.rpartition(":") for entry in text.split(";"))
    return {name: tuple(map(int, sides.split(","))) for name, _, sides in entries}


def infer_options():
    raise NotImplementedError("this stand-in has no pipeline mode")
