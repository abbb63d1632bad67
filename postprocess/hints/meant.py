"""Ids of detections that may stand for something else than the annotation file's ids."""

from collections.abc import Mapping, Sequence

from postprocess.rows.annotation_rows import AnnotatedImage
from postprocess.rows.ids import named, rank


def other_categories(values: Sequence[int | str], known: Sequence[int | str]) -> dict[str, list[int | str | None]]:
    """What else category ids may stand for.

    Args:
        values: ids of the detections.
        known: ids of the annotation file.

    Returns:
        By reading: for each of `values` an id of the annotation file, or None where there is none.
    """
    order = sorted(known, key=rank)
    places = {value: place for place, value in enumerate(order)}
    readings: dict[str, list[int | str | None]] = {}
    for first in (0, 1):
        numbers = [value - first if isinstance(value, int) else -1 for value in values]
        told = f"labels counted from {first}"
        readings[told] = [order[number] if 0 <= number < len(order) else None for number in numbers]
    for step, told in ((-1, "the one after the right one"), (1, "the one before the right one")):
        readings[told] = [order[(places[value] + step) % len(order)] if value in places else None for value in values]
    return {told: ids for told, ids in readings.items() if ids != list(values)}


def meant_category(value: int | str, values: Sequence[int | str], categories: Mapping[int | str, str]) -> str:
    """What an id that the annotation file does not have may be, for the end of a message; "": nothing known.

    Args:
        value: the id.
        values: all ids of the detections.
        categories: name by id.
    """
    by_name = [known for known, name in categories.items() if name == value]
    if by_name:
        return f": it is the name of the category with the id {named(by_name[0])}; write ids"
    for told, ids in other_categories(values, list(categories)).items():
        meant = ids[list(values).index(value)]
        if meant is not None and None not in ids:
            return f"; these are {told}, it seems: write the id of each (here {named(meant)})"
    numbers = [each for each in values if isinstance(each, int)]
    for step, told in ((-1, "more"), (1, "less")):
        if len(numbers) == len(values) and all(number + step in categories for number in numbers):
            return f"; all are by one {told} than an id of that file, it seems: write its ids"
    return ""


def meant_image(value: int | str, images: Mapping[int | str, AnnotatedImage]) -> str:
    """The same of an image's id, which may be the name of its file."""
    for image in images.values():
        name = "" if image.file_name is None else image.file_name
        if value in (name, name.rpartition(".")[0], name.rpartition("/")[2]):
            return f": it is the file_name of the image with the id {named(image.id)}; write ids"
        stem = name.rpartition("/")[2].partition(".")[0]
        if isinstance(value, int) and stem.isascii() and stem.isdigit() and int(stem[:20]) == value:
            return f": it is the number in the file_name of the image with the id {named(image.id)}; write ids"
    return ""
