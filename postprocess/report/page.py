"""The report of an evaluation: one HTML page with figures, classes and images that needs nothing else."""

import base64
from collections.abc import Sequence
from html import escape
from pathlib import Path

from detector.files.atomic import make_folder, write_bytes
from detector.products.product_file import require_apart
from detector.spec import Checkpoint
from postprocess.metrics.coco_metrics import Figure, figures_of
from postprocess.metrics.evaluation import STAND_IN_PRECISION
from postprocess.metrics.metrics_file import DETECTIONS_NAME, METRICS_NAME, UNBOUND, ClassRecord, Record
from postprocess.pictures import PICTURES_NAME
from postprocess.report.gallery import FEW, FOUND_IOU, SHOWN_SCORE, Box, Gallery, Tile, build_gallery
from postprocess.report.scored import read_scored

# Digits of a SHA-256 that are shown: enough to tell any two checkpoints apart.
SHOWN_DIGITS = 16
# Rows from which the table of classes is set in two columns.
LONG_TABLE = 16
# Width of a character of the box labels and height of their line in pixels, to keep them inside the image.
CHARACTER, LINE = 7.5, 12
REPORT_NAME = "report.html"
POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"

# Its blue and orange are told apart by colour-blind readers too.
STYLE = "\n" + Path(__file__).with_name("page.css").read_text(encoding="utf-8")


def write_report(
    results: Path, annotations_path: Path, output: Path, *, images: Path | None = None, count: int = 12
) -> int:
    """Write the report of a finished `eval`; equal input gives equal bytes.

    Args:
        results: folder with the metrics.json of an evaluation, and its detections.json.
        annotations_path: COCO annotation file or its folder, the one that was scored against.
        output: the HTML file, replaced atomically.
        images: folder of the images; None: no gallery.
        count: images of the gallery, spread over the list; the one with the most missed objects is added.

    Returns:
        Bytes of the file.

    Raises:
        ArtifactError: nothing was scored in `results`, or its files and the annotations do not belong together.
        DataError: an image or a COCO file is missing or damaged.
    """
    scored = read_scored(results, annotations_path, names=images is not None)
    names = (METRICS_NAME, DETECTIONS_NAME, PICTURES_NAME)
    require_apart([output], [*(results / name for name in names), Path(scored.annotations.source)])
    gallery = None if images is None else build_gallery(scored, images, count=count)
    page = to_page(scored.record, gallery).encode()
    make_folder(output.parent)
    write_bytes(output, page)
    return len(page)


def to_page(record: Record, gallery: Gallery | None) -> str:
    """The whole page; names are escaped, and its own policy forbids the browser to load anything."""
    title = escape(record.model or "Result file of unknown origin")
    images = "" if gallery is None else _gallery(gallery)
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{POLICY}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}: detection report</title>
<style>{STYLE}</style>
</head>
<body>
{_head(record, title)}
{_figures(record)}
{_classes(record.classes)}
{images}
</body>
</html>
"""


def _head(record: Record, title: str) -> str:
    counts, checkpoint = record.counts, record.checkpoint
    subset = "" if counts.images == counts.annotated_images else " (a subset)"
    source = escape(record.detections_file or "file not recorded")
    padding = f", {counts.detections_in_padding:,} more in the padding dropped" if counts.detections_in_padding else ""
    facts = {
        "Checkpoint": "not recorded" if checkpoint is None else _checkpoint(checkpoint),
        "Images": f"{counts.images:,} of {counts.annotated_images:,} annotated{subset}",
        "Objects": f"{counts.objects:,} in {counts.categories:,} of {counts.annotated_categories:,} categories",
        "Detections": f"{counts.detections:,}{padding}: <code>{source}</code>",
        "Annotations": f"<code>{escape(record.annotations_file)}</code>",
        "Reference": _reference(record),
    }
    facts |= _computed_by(record)
    lists = {
        "About the figures": (*record.remarks, *(() if record.metrics_sha256 else (UNBOUND,))),
        "Odd, but taken": record.oddities,
        "Departs from the training framework": record.departures,
    }
    facts |= {name: "<br/>".join(map(escape, texts)) for name, texts in lists.items() if texts}
    rows = "\n".join(f"<dt>{name}</dt><dd>{value}</dd>" for name, value in facts.items())
    return (
        f'<header>\n<div class="top"><div><p class="soft">Detection report</p><h1>{title}</h1></div>\n'
        f'<div class="ap">{_percent(record.figures["AP"], digits=2)}<small>box AP, percent</small></div></div>\n'
        f"<dl>\n{rows}\n</dl>\n"
        f'<p class="notice">{_notice(record)}</p>\n</header>'
    )


def _computed_by(record: Record) -> dict[str, str]:
    """What gave the results, and on which canvas."""
    facts = {"Canvas": escape(", ".join(record.canvases))} if record.canvases else {}
    if record.run is not None:
        run = record.run
        version = f" {run.version}" if run.version else ""
        batch = f", batches of {run.batch_size}" if run.batch_size else ""
        facts["Computed by"] = escape(f"{run.backend}{version} on {run.device}{batch}")
    if record.product is not None:
        digits = f'<code title="{escape(record.product.sha256)}">{escape(record.product.sha256[:SHOWN_DIGITS])}</code>'
        facts["Model file"] = f"<code>{escape(record.product.file)}</code>, sha256 {digits}…"
    return facts


def _notice(record: Record) -> str:
    """Whether the figures speak for the card."""
    card = "only outputs that the .om computed on the card speak for the card."
    precision = escape(record.precision or STAND_IN_PRECISION)
    if precision != STAND_IN_PRECISION:
        ends = record.AP_range
        between = f", AP {ends[0]:.2f} to {ends[1]:.2f}" if ends else ""
        return f"<b>Computed on the CPU by {precision}: a prediction of what the card computes{between}.</b> But {card}"
    if record.run is None:
        return (
            "<b>Backend and precision are not recorded in metrics.json.</b> Outputs of the CPU stand-in (onnxruntime, "
            f"{precision}) are not NPU numbers: {card}"
        )
    if record.run.backend == "onnxruntime":
        return f"<b>Computed on the CPU by the stand-in (onnxruntime, {precision}): not NPU numbers</b>; {card}"
    return f"<b>Computed by the .om on {escape(record.run.device)}.</b>"


def _checkpoint(checkpoint: Checkpoint) -> str:
    digits = f'<code title="{escape(checkpoint.sha256)}">{escape(checkpoint.sha256[:SHOWN_DIGITS])}</code>'
    return f"<code>{escape(checkpoint.file)}</code>, sha256 {digits}…, dialect {escape(checkpoint.dialect)}"


def _reference(record: Record) -> str:
    reference = record.reference
    if reference is None:
        return escape(record.note)
    difference = "AP is undefined here" if reference.difference is None else f"{reference.difference:+.2f} here"
    counts, reasons = record.counts, [*reference.caveats]
    if not reasons and counts.images != counts.annotated_images:  # as earlier versions recorded it, likewise the next
        reasons.append("a subset")
    if not reasons and not reference.comparable:
        reasons.append("another data set")
    part = f", not comparable: {escape('; '.join(reasons))}" if reasons else ""
    return (
        f"AP {reference.ap:g}, published for <code>{escape(reference.checkpoint)}</code> "
        f"({escape(reference.source)}); <b>{difference}</b>{part}"
    )


def _figures(record: Record) -> str:
    tables = []
    for kind, title in (("AP", "Average precision"), ("AR", "Average recall")):
        shown = [figure for figure in figures_of(record.max_detections) if figure.kind == kind]
        rows = [[figure.name, _meaning(figure), *_measured(record.figures[figure.name])] for figure in shown]
        tables.append(_table([title, "Over", "", "%"], rows))
    return (
        f'<section>\n<h2>The 12 COCO figures</h2>\n<div class="pair">\n{"".join(tables)}</div>\n'
        '<p class="soft">Means over IoU 0.50 to 0.95 where no other IoU is named; recall of the best '
        f"{record.max_detections[-1]} detections of a class on an image where no other number is. Objects are small "
        "below 32² pixels, large from 96². –: nothing to average over.</p>\n</section>"
    )


def _meaning(figure: Figure) -> str:
    """What tells a figure from the others of its table."""
    if figure.area != "all":
        return f"{figure.area} objects"
    if figure.kind == "AR":
        return f"best {figure.max_detections} of a class"
    return "IoU 0.50 to 0.95" if figure.iou is None else f"IoU {figure.iou:0.2f}"


def _classes(classes: Sequence[ClassRecord]) -> str:
    """Classes by AP, best first; those without objects last."""
    ordered = sorted(classes, key=lambda item: (item.AP is None, -(item.AP or 0.0), item.name))
    rows = [[escape(item.name), f"{item.objects:,}", _percent(item.AP50), *_measured(item.AP)] for item in ordered]
    half = -(-len(rows) // (1 if len(rows) < LONG_TABLE else 2))
    head = ["Class", "Objects", "AP50", "", "AP %"]
    tables = [_table(head, rows[start : start + half]) for start in range(0, len(rows), half)]
    return f'<section>\n<h2>{len(rows)} classes</h2>\n<div class="pair classes">\n{"".join(tables)}</div>\n</section>'


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table whose cells are HTML."""
    top = "".join(f"<th>{cell}</th>" for cell in head)
    body = "\n".join(f"<tr>{''.join(f'<td>{cell}</td>' for cell in row)}</tr>" for row in rows)
    return f"<table>\n<thead><tr>{top}</tr></thead>\n<tbody>\n{body}\n</tbody>\n</table>\n"


def _measured(percent: float | None) -> tuple[str, str]:
    """A bar, and the number."""
    return f'<span class="bar"><i style="width:{percent or 0:.1f}%"></i></span>', _percent(percent)


def _percent(value: float | None, digits: int = 1) -> str:
    return "–" if value is None else f"{value:.{digits}f}"


def _gallery(gallery: Gallery) -> str:
    spread = len(gallery.tiles) - gallery.worst_added
    chosen = (
        f"{spread} of {gallery.candidates:,} images, evenly spaced over the image list: not chosen by their result."
        if gallery.whole
        else f"{spread} images, evenly spaced over the {gallery.candidates:,} images with a detection: of a subset, "
        "metrics.json does not say which other images were scored."
    )
    worst = " The last image was chosen by its result: it has the most missed objects." if gallery.worst_added else ""
    tiles = "\n".join(_tile(number, tile) for number, tile in enumerate(gallery.tiles))
    return (
        f"<section>\n<h2>Images</h2>\n<p>{chosen}{worst}</p>\n"
        f'<p><b class="t">Left: annotated objects</b>, dashed if missed, faint if a crowd region. '
        f'<b class="f">Right: detections</b> with a score of at least {SHOWN_SCORE}, dashed if they match no object; '
        f"where there is none, the best {FEW}, faint. An object is found if such a detection of its class overlaps it "
        f"with an IoU of at least {FOUND_IOU}.</p>\n{tiles}\n</section>"
    )


def _tile(number: int, tile: Tile) -> str:
    """Both views of one image; its bytes are in the page once."""
    (height, width), data = tile.thumbnail, base64.b64encode(tile.jpeg).decode()
    picture = f'<image id="i{number}" width="{width}" height="{height}" href="data:image/jpeg;base64,{data}"/>'
    views = (
        ("t", "Annotated objects", picture, tile.truth),
        ("f", "Detections", f'<use href="#i{number}"/>', tile.found),
    )
    size = f'width="{width}" height="{height}" viewBox="0 0 {width} {height}"'
    drawn = "\n".join(
        f'<svg class="{side}" {size} role="img" aria-label="{label}">{image}{_boxes(boxes, width)}</svg>'
        for side, label, image, boxes in views
    )
    missed, found = (sum(box.standing == what for box in tile.truth) for what in ("alone", "matched"))
    wrong = sum(box.standing == "alone" for box in tile.found)
    tag = '<span class="tag">most missed objects</span>' if tile.worst else ""
    return (
        f"<figure>\n<figcaption><b>{escape(tile.file_name)}</b>{tag}"
        f'<span class="soft">{tile.image.width}×{tile.image.height} pixels; {found} found, {missed} missed, '
        f'{wrong} matching no object</span></figcaption>\n<div class="views">\n{drawn}\n</div>\n</figure>'
    )


def _boxes(boxes: Sequence[Box], width: int) -> str:
    """Rectangles, then the labels on top: above their boxes, inside them at the top of the image."""
    rectangles, labels = [], []
    for box in boxes:
        x, y, w, h = box.xywh
        label = escape(box.name if box.score is None else f"{box.name} {box.score:.2f}")
        right = x + CHARACTER * len(label) > width
        at, anchor = (x + w, ' text-anchor="end"') if right else (x, "")
        above = y - 4 if y > LINE + 4 else y + LINE
        rectangle = f'<rect x="{x:.1f}" y="{y:.1f}" width="{w:.1f}" height="{h:.1f}"><title>{label}</title></rect>'
        rectangles.append(f'<g class="{box.standing}">{rectangle}</g>')
        labels.append(f'<text class="{box.standing}" x="{at:.1f}" y="{above:.1f}"{anchor}>{label}</text>')
    return "".join([*rectangles, *labels])
