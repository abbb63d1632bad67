"""Images that a canvas makes smaller than the training framework ran them: how many, how much, and what mends it."""

from collections.abc import Mapping

from detector.geometry import Size
from detector.spec import DetectorSpec, replace

# The size of most COCO photographs, lying and standing.
LANDSCAPE, PORTRAIT = Size(480, 640), Size(640, 480)


def squeeze_note(images: Mapping[Size, int], spec: DetectorSpec) -> str | None:
    """One line on images that lie smaller on their canvas than the training framework runs them; None: there are none.

    Args:
        images: number of images by size.
        spec: canvas, or canvases.
    """
    squeezed = _squeezed(images, spec)
    if not squeezed:
        return None
    count, total = sum(squeezed.values()), sum(images.values())
    turned = _both_orientations(spec)
    left = squeezed if turned is None else _squeezed(images, turned)
    return (
        f"{count} of {total} images lie at {_mean(squeezed):.0%} of the size at which the training framework runs them "
        f"(mean): the canvas {_canvases(spec)} has no room for more, which costs AP{_remedy(count, left, turned)}"
    )


def canvas_note(spec: DetectorSpec) -> str | None:
    """One line on what a canvas does to the usual photographs, before any is there; None: it has room for them."""
    scales = {name: spec.squeeze(size) for name, size in (("landscape", LANDSCAPE), ("portrait", PORTRAIT))}
    told = [f"a {name} photograph of 4:3 at {scale:.0%}" for name, scale in scales.items() if scale < 1]
    if not told:
        return None
    turned = _both_orientations(spec)
    left = {} if turned is None else _squeezed({LANDSCAPE: 1, PORTRAIT: 1}, turned)
    return (
        f"the canvas {_canvases(spec)} holds {' and '.join(told)} of the size at which the training framework runs it, "
        f"which costs AP{_remedy(len(told), left, turned)}"
    )


def _squeezed(images: Mapping[Size, int], spec: DetectorSpec) -> dict[float, int]:
    """How much smaller images are -> how many; those that are not are left out."""
    result: dict[float, int] = {}
    for size, count in images.items():
        scale = spec.squeeze(size)
        if scale < 1:
            result[scale] = result.get(scale, 0) + count
    return result


def _mean(squeezed: Mapping[float, int]) -> float:
    return sum(scale * count for scale, count in squeezed.items()) / sum(squeezed.values())


def _both_orientations(spec: DetectorSpec) -> DetectorSpec | None:
    """The spec with a gear for each orientation; None: it has gears already, or a square canvas."""
    if spec.canvas.height == spec.canvas.width or len(spec.canvases) > 1 or spec.atc.dims or spec.atc.batch_sizes:
        return None
    gears = [list(spec.canvas), list(spec.canvas[::-1])]
    return replace(spec, atc={**spec.atc.model_dump(), "image_sizes": gears})


def _remedy(count: int, left: Mapping[float, int], turned: DetectorSpec | None) -> str:
    if turned is not None and sum(left.values()) < count:
        gears = ",".join(f"[{size.height},{size.width}]" for size in turned.canvases)
        rest = f" for {count - sum(left.values())} of them" if left else ""
        return f"; a gear for each orientation mends it{rest}: --set atc.image_sizes=[{gears}] at export"
    return "; a larger canvas mends it: --set canvas=[HEIGHT,WIDTH] at export"


def _canvases(spec: DetectorSpec) -> str:
    return " or ".join(map(str, spec.canvases))
