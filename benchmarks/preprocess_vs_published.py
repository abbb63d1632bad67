"""Claim: our preprocessing writes the bytes of the published recipe several times as fast.

    python -m benchmarks.preprocess_vs_published --work /dev/shm > benchmarks/preprocess_vs_published.txt

The published recipe is that of the Ascend guide for FCOS, OpenCV with its own threads: cv2.resize, subtract the mean,
multiply by 1/std, copyMakeBorder, transpose, tofile. It is timed image after image in one process; spread over all
usable cores, as the guide's script does for large sets (a process per 100 images); and with a contiguous copy before
tofile, because numpy writes a transposed array value by value, and that is no merit of ours. Ours is
`preprocess_folder` as `python -m preprocess` calls it, with what it does besides: the start of its processes, the
check of the image files, atomic writes, the manifest. All write to the same folder, in turn; the times are of the
whole set. `--work /dev/shm` leaves the disk out of them.
"""

import functools
import json
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from benchmarks.machine import machine_text
from detector.cli import Parser, positive, run
from detector.errors import AccuracyError
from detector.files.digest import sha256_of
from detector.products.bin_stems import unique_stems
from preprocess.folder import preprocess_folder
from preprocess.listing import image_names
from preprocess.pool import map_with_bar
from preprocess.recipe import guide_spec

PHOTOGRAPHS = Path(__file__).resolve().parents[2] / "shared" / "data" / "coco" / "val2017"
# Of the published guide: canvas (height, width), mean and standard deviation of blue, green, red.
HEIGHT, WIDTH = 800, 1333
MEAN = (102.9801, 115.9465, 122.7717)
STD = (1.0, 1.0, 1.0)


def published_image(item: tuple[str, str], *, images: Path, bins: Path, contiguous: bool) -> None:
    """One image, given by file name and stem, to its bin: step by step as the guide's script."""
    name, stem = item
    image: Any = cv2.imread(str(images / name), cv2.IMREAD_COLOR)
    height, width = image.shape[:2]
    scale = min(WIDTH / width, HEIGHT / height)
    new_width, new_height = int(np.floor(width * scale)), int(np.floor(height * scale))
    image = cv2.resize(image, (new_width, new_height), interpolation=cv2.INTER_LINEAR).astype(np.float32)
    # The mean is a float32 array there, and cv2 wants scalars in float64.
    mean = np.array(MEAN, np.float32).astype(np.float64).reshape(1, -1)
    cv2.subtract(image, mean, image)
    cv2.multiply(image, 1 / np.array(STD, np.float64).reshape(1, -1), image)
    left, top = (WIDTH - new_width) // 2, (HEIGHT - new_height) // 2
    right, bottom = WIDTH - new_width - left, HEIGHT - new_height - top
    image = cv2.copyMakeBorder(image, top, bottom, left, right, cv2.BORDER_CONSTANT, value=0)
    image = image.transpose(2, 0, 1)
    (np.ascontiguousarray(image) if contiguous else image).tofile(bins / f"{stem}.bin")


def published_recipe(images: Path, bins: Path, *, workers: int | None = 1, contiguous: bool = False) -> None:
    """A folder of images to one bin each, in so many processes (None: one per usable core)."""
    names = image_names(images)
    items = list(zip(names, unique_stems(names), strict=True))
    work = functools.partial(published_image, images=images, bins=bins, contiguous=contiguous)
    map_with_bar(work, items, workers=workers, preload="preprocess.folder", label="published")


def our_preprocessing(images: Path, bins: Path) -> None:
    """The same folder with `python -m preprocess` as it is without options."""
    preprocess_folder(images, bins, guide_spec(height=HEIGHT, width=WIDTH, recipe=None))


def main(argv: Sequence[str]) -> None:
    """Compare bytes, then times."""
    parser = Parser(prog="python -m benchmarks.preprocess_vs_published", description=__doc__)
    parser.add_argument("--image_src_path", type=Path, default=PHOTOGRAPHS, help="photographs (default %(default)s)")
    parser.add_argument("--rounds", type=positive, default=4, help="times that each side runs (default %(default)s)")
    parser.add_argument("--work", type=Path, help="folder on the disk to use; 12.8 MB per image (default: temporary)")
    args = parser.parse_args(argv)
    print(machine_text(["numpy", "opencv-python-headless"]))  # first: its load is that of others
    times = compare(args.image_src_path, args.work, rounds=args.rounds)
    count = len(image_names(args.image_src_path))
    print(f"{count} images, {HEIGHT}x{WIDTH} float32, byte-identical, written to {args.work or 'the disk'}")
    best = {name: min(values) for name, values in times.items()}  # the round that others disturbed least
    print("                            s  ms/image   x ours  rounds, the best counts")
    for name, values in times.items():
        each = " ".join(f"{value:.2f}" for value in values)
        ratio = best[name] / best["ours"]
        print(f"{name:<22} {best[name]:6.2f} {1000 * best[name] / count:9.2f} {ratio:8.2f}  {each}")
    print(json.dumps({"images": count, "seconds": best, "ratio": best["published"] / best["ours"]}))


def compare(images: Path, work: Path | None, *, rounds: int) -> dict[str, list[float]]:
    """Seconds of every side in every round; the bins are compared by their digests and removed.

    Raises:
        AccuracyError: the bins of a side are not the published ones.
    """
    times: dict[str, list[float]] = {name: [] for name in SIDES}
    expected: dict[str, str] = {}
    for _ in range(rounds):
        for name, side in SIDES.items():  # in turn, so that a busy minute of the machine meets all
            with tempfile.TemporaryDirectory(dir=work) as bins:
                start = time.perf_counter()
                side(images, Path(bins))
                times[name].append(time.perf_counter() - start)
                found = {path.name: sha256_of(path) for path in Path(bins).glob("*.bin")}
            expected = expected or found
            if found != expected:
                raise AccuracyError(f"the bins of {name!r} are not the bytes of the published recipe")
    return times


SIDES: dict[str, Callable[[Path, Path], None]] = {
    "published": published_recipe,
    "published, all cores": functools.partial(published_recipe, workers=None),
    "published, contiguous": functools.partial(published_recipe, contiguous=True),
    "ours": our_preprocessing,
}


if __name__ == "__main__":
    run(main)
