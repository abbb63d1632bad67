"""What a deployment will cost, before anything runs; every figure says where it comes from.

The card: peak = cores * 4096 multiply-accumulates * clock (platform files of CANN 8.1.RC1: 310P3 has 8 cores of 1.06
GHz, 69.5 TFLOPS float16). What of it is reached is what the published guides reached: FCOS R50 at 800 x 1333, images
per second by batch, device time only; the RetinaNet guides reached half as much. Memory: the least traffic of the
matrix operators at half the 408 GB/s that the press reports of the Atlas 300I Duo, a card of two such chips
(elektronikpraxis.de, 2025). UNCONFIRMED: Huawei's own figure, and that a card of one chip has half. This machine: 4.2
to 4.5 CPU-seconds per image were measured for FCOS R50 at 800 x 1344 in onnxruntime, 4.6 for RetinaNet R50: 0.02 per
10^9.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from convert.cost.macs import Work
from detector.card.sheet import CHIPS
from detector.errors import SpecError
from detector.spec import DetectorSpec

Provenance = Literal["measured", "computed", "from source", "not known"]
MACS_PER_CYCLE = 4096  # of one core, float16
PUBLISHED_FPS = {1: 58, 4: 65, 8: 58, 16: 58, 32: 58, 64: 45}
"""Images per second on one 310P3 by batch, of ModelZoo-PyTorch's FCOS guide."""
GUIDE_MACS = {"fcos": 214.7e9, "retinanet": 249.4e9}
"""Convolutions of R50 detectors of 80 classes on GUIDE_CANVAS, one image; of caffe's style 4.9e9 less."""
GUIDE_CANVAS = (800, 1344)
RETINANET_REACHED = (0.15, 0.20)
CPU_SECONDS_PER_GMAC = 0.02
FLOAT16_BYTES = 2


@dataclass(frozen=True, slots=True)
class Figure:
    """One line of the forecast.

    Attributes:
        key: name in the JSON object.
        label: for people, with the unit.
        value: None: not known.
        provenance: how it was found.
        note: what it rests on.
    """

    key: str
    label: str
    value: float | int | None
    provenance: Provenance
    note: str = ""


@dataclass(frozen=True, slots=True)
class Speed:
    """The card at one batch size, images per second.

    Attributes:
        batch_size: images per run.
        peak: by the arithmetic alone.
        memory: by the memory alone; None: not known.
        like_fcos: at the part of the peak that the FCOS guide reached.
        like_retinanet: at the least and the most that the RetinaNet guides reached.
    """

    batch_size: int
    peak: float
    memory: float | None
    like_fcos: float
    like_retinanet: tuple[float, float]


def published_work(spec: DetectorSpec) -> Work:
    """Convolutions of a model whose graph is not here yet, scaled by the canvas.

    Raises:
        SpecError: nothing was published for such a model.
    """
    macs = GUIDE_MACS.get(spec.detector)
    if macs is None or spec.network.get("depth") != 50 or len(spec.classes) != 80:
        raise SpecError(
            f"nothing was published on the work of {spec.name}: export it (make export MODEL={spec.name}) and give "
            "--onnx"
        )
    area = spec.canvas.height * spec.canvas.width / (GUIDE_CANVAS[0] * GUIDE_CANVAS[1])
    return Work(round(macs * area), 0, 0)


def size_figures(spec: DetectorSpec, work: Work, *, images: int, counted: bool) -> list[Figure]:
    """Work, weights and bytes.

    Args:
        spec: of the model.
        work: of one image.
        images: of the data set.
        counted: the work was counted on the graph, not taken from a publication.
    """
    provenance: Provenance = "computed" if counted else "from source"
    note = "counted on the graph" if counted else "published for R50 (torch's style) at 800x1344, scaled by area"
    values = spec.input.num_bytes // 4
    results = sum(tensor.num_bytes for tensor in spec.outputs)
    return [
        Figure("macs", "multiply-accumulates per image", work.macs, provenance, note),
        Figure("conv_macs", "  of them in convolutions", work.convolutions, provenance, note),
        Figure(
            "parameters", "parameters", work.parameters if counted else None, "computed" if counted else "not known"
        ),
        Figure("float32_bytes", "bytes of one float32 bin", 4 * values, "computed"),
        Figure("uint8_bytes", "bytes of one uint8 bin", values, "computed"),
        Figure("result_bytes", "bytes of one image's results", results, "computed"),
        Figure("dataset_float32_bytes", f"disk, {images} float32 bins", 4 * values * images, "computed"),
        Figure("dataset_uint8_bytes", f"disk, {images} uint8 bins", values * images, "computed"),
        Figure("dataset_result_bytes", f"disk, results of {images}", results * images, "computed"),
    ]


def peak_macs(chip: str) -> float:
    """Multiply-accumulates per second that the matrix units of a chip can do, float16."""
    return CHIPS[chip].ai_cores * MACS_PER_CYCLE * CHIPS[chip].mhz * 1e6


def card_figures(chip: str, work: Work) -> list[Figure]:
    """What the roofline rests on."""
    reached = max(PUBLISHED_FPS.values()) * GUIDE_MACS["fcos"] / peak_macs("Ascend310P3")
    facts = f"{CHIPS[chip].ai_cores} cores, {CHIPS[chip].mhz} MHz, {MACS_PER_CYCLE} MAC"
    guide = "65 images/s at batch 4"
    bandwidth = CHIPS[chip].bytes_per_second
    label = "  memory, bytes per second"
    memory = Figure("memory_bandwidth", label, bandwidth, "from source", "UNCONFIRMED, press reports")
    if bandwidth is None:
        memory = Figure("memory_bandwidth", label, None, "not known", "no figure of this chip has a source here")
    return [
        Figure("peak_flops", f"{chip}: float16 operations per second", 2 * peak_macs(chip), "from source", facts),
        Figure("reached", "  reached by the published FCOS", round(reached, 3), "from source", guide),
        memory,
        Figure(
            "traffic_bytes",
            "  float16 bytes moved per image, at least",
            FLOAT16_BYTES * work.values or None,
            "computed" if work.values else "not known",
            "what convolutions read and write; weights come once per batch" if work.values else "give --onnx",
        ),
    ]


def card_speeds(work: Work, chip: str, batch_sizes: Sequence[int]) -> list[Speed]:
    """The card by batch size; what was not published is taken from the next smaller published batch."""
    peak = peak_macs(chip) / work.macs
    speeds = []
    for size in batch_sizes:
        published = PUBLISHED_FPS[max(batch for batch in PUBLISHED_FPS if batch <= size)]
        reached = published * GUIDE_MACS["fcos"] / peak_macs("Ascend310P3")
        low, high = (peak * share for share in RETINANET_REACHED)
        speeds.append(Speed(size, peak, _by_memory(work, chip, size), peak * reached, (low, high)))
    return speeds


def _by_memory(work: Work, chip: str, batch_size: int) -> float | None:
    bandwidth = CHIPS[chip].bytes_per_second
    if bandwidth is None or not work.values:
        return None
    return bandwidth / (FLOAT16_BYTES * (work.values + work.parameters / batch_size))


def machine_figures(macs: int, *, images: int, cores: int, measured_seconds: float | None) -> list[Figure]:
    """This machine, by a short run or by the figure measured elsewhere.

    Args:
        macs: of one image.
        images: of the data set.
        cores: that this process may use.
        measured_seconds: wall time per image of a short run here; None: none was made.
    """
    if measured_seconds is not None:
        return _machine(measured_seconds, images, "measured", "a run of `python -m infer` here")
    seconds = CPU_SECONDS_PER_GMAC * macs / 1e9 / cores
    note = f"{CPU_SECONDS_PER_GMAC} CPU-seconds per 10^9 elsewhere, {cores} cores; --measured: here"
    return _machine(seconds, images, "from source", note)


def _machine(seconds: float, images: int, provenance: Provenance, note: str) -> list[Figure]:
    hours = round(seconds * images / 3600, 3)
    return [
        Figure("seconds_per_image", "seconds per image on this machine", round(seconds, 4), provenance, note),
        Figure("hours", f"hours for {images} images on this machine", hours, provenance, note),
    ]
