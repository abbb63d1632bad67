"""Command line: `python -m preprocess` (bins and manifest) and `python -m preprocess info` (the guide's info file)."""

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from detector.cli import Parser, given, positive, run

DESCRIPTION = "Decode, letterbox and normalize the images of a folder: one .bin per image, then manifest.json."
EPILOG = """\
A model with gears for several image sizes gets a folder for each, BINS/800x1344 and BINS/1344x800; an image lies in the
one where it is largest.
Reads .jpg .jpeg .jfif .png .bmp .tif .tiff .webp (any case) of a folder, not the names that start with a dot; where it
holds no image itself those of its sub-folders, a/001.jpg and b/001.jpg being two images.
Another command: python -m preprocess info jpg IMAGES OUT.info   (lines: index path width height)
"""


def main(argv: Sequence[str]) -> None:
    """Choose between the two commands."""
    if argv[:1] == ["info"]:
        _info(_info_parser().parse_args(argv[1:]))
    else:
        _bins(_bins_parser().parse_args(argv))


def _bins(args: argparse.Namespace) -> None:
    from preprocess.folder import preprocess_folder
    from preprocess.recipe import guide_spec, model_spec

    asked = {
        "height": args.model_input_height,
        "width": args.model_input_width,
        "recipe": args.recipe,
        "dtype": args.dtype,
    }
    spec = guide_spec(**asked) if args.model is None else model_spec(args.model, **asked)
    manifests = preprocess_folder(
        args.image_src_path,
        args.bin_file_path,
        spec,
        workers=args.workers,
        limit=args.limit,
        recursive=args.recursive,
        annotations=args.only_annotated,
    )
    folders: dict[str, dict[str, Any]] = {}
    for name, manifest in manifests.items():
        of, count = manifest.spec, len(manifest.images)
        print(f"{count} images -> {args.bin_file_path / name} ({of.input}, recipe {of.image.resize})")
        folders[name] = {"images": count, "bytes": count * of.input.num_bytes, "fingerprint": of.bins_fingerprint()}
    whole = folders.get("") or {
        "images": sum(folder["images"] for folder in folders.values()),
        "bytes": sum(folder["bytes"] for folder in folders.values()),
        "folders": folders,
    }
    print(json.dumps({"bin_file_path": str(args.bin_file_path), **whole}))


def _info(args: argparse.Namespace) -> None:
    from preprocess.info import write_info

    count = write_info(args.kind, args.image_src_path, args.info, workers=args.workers)
    print(json.dumps({"images": count, "info": str(args.info)}))


def _bins_parser() -> Parser:
    parser = Parser(prog="python -m preprocess", description=DESCRIPTION, epilog=EPILOG)
    parser.add_argument("--image_src_path", type=Path, required=True, help="folder of images")
    parser.add_argument("--bin_file_path", type=Path, required=True, help="folder for the bins, created if needed")
    parser.add_argument(
        "--model",
        type=given,
        help="model that the bins are for: the converted .om or .onnx, a .yaml, or a name in atc_configs/; "
        "without it the published guide's FCOS recipe is used",
    )
    parser.add_argument("--model_input_height", type=positive, help="canvas height without --model (800)")
    parser.add_argument("--model_input_width", type=positive, help="canvas width without --model (1333)")
    parser.add_argument(
        "--recipe",
        choices=("modelzoo", "mmdet"),
        help="modelzoo: floor and centre, as the published guide (default without --model); "
        "mmdet: round and pad below and to the right; default with --model: what the model says",
    )
    parser.add_argument(
        "--dtype",
        choices=("float32", "uint8"),
        help="element type of the bins: uint8, a quarter of the bytes, for a model converted with --dtype uint8; "
        "default: what the model says, float32 without --model",
    )
    parser.add_argument("--limit", type=positive, help="only the first so many images in order of their names")
    parser.add_argument(
        "--only_annotated",
        type=Path,
        metavar="ANNOTATIONS",
        help="only the images that this COCO annotation file lists; how many are left out is said",
    )
    parser.add_argument(
        "--recursive", action="store_true", help="sub-folders as well, although the folder itself holds images"
    )
    parser.add_argument("--pad_size", help="accepted for old scripts and ignored: the canvas decides the padding")
    _add_workers(parser)
    return parser


def _info_parser() -> Parser:
    parser = Parser(prog="python -m preprocess info", description="Write the guide's info file of a folder of images.")
    parser.add_argument("kind", choices=("jpg", "png", "bmp"), help="image files to list; jpg includes .jpeg")
    parser.add_argument("image_src_path", type=Path, help="folder of images; the lines hold this path as given")
    parser.add_argument("info", type=Path, help="file to write")
    _add_workers(parser)
    return parser


def _add_workers(parser: Parser) -> None:
    parser.add_argument("--workers", type=positive, help="processes (the cores this process may use)")


if __name__ == "__main__":
    run(main)
