"""What the steps of an mmdetection test pipeline have made of an image so far."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

from export.checkpoints.dialects.mmdet.keys import shown, whole
from export.checkpoints.weighing.own_padding import OwnPadding
from export.checkpoints.weighing.recipe import Triple

LARGEST: Final = 1e300  # numbers beyond, infinity among them, are no setting of an image


@dataclass(slots=True)
class Picture:
    """What became of a test image so far.

    Attributes:
        generation: 3 for mmdetection 3.x, else 2.
        image: settings of `ImageSpec` that decide the size.
        turned: by the EXIF orientation.
        canvas: (height, width) that every image is padded to, or None.
        swaps: how often the channels were swapped.
        mean: what was subtracted in all, of the channels in their present order; None: could not be read.
        std: what that was divided by then, or None.
        normalizes: a step has said so.
        padding: values around the image, whether they were normalized then, and the number of swaps so far.
        filled: what the sides of the padded image are multiples of.
        divisors: what its sides are made multiples of by padding, one after the other; None: could not be read.
        padders: settings that pad, as text.
        least: (height, width) that every image is padded to at least, or None.
        padded_size: boxes are clipped to the padded image: the `img_shape` of 3.x after Pad.
        notes: what is not honoured.
        unknown: whether a step is none of those known here.
        unread: means and divisors that cannot be used, as text.
        strangers: steps that may decide the size and are not followed, as text.
    """

    generation: int
    image: dict[str, Any] = field(default_factory=dict)
    turned: bool = True
    canvas: tuple[int, int] | None = None
    swaps: int = 0
    mean: Triple | None = (0.0, 0.0, 0.0)
    std: Triple | None = (1.0, 1.0, 1.0)
    normalizes: bool = False
    padding: tuple[Triple, bool, int] | None = None
    filled: tuple[int, ...] = ()
    divisors: list[int | None] = field(default_factory=list)
    padders: list[str] = field(default_factory=list)
    least: tuple[int, int] | None = None
    padded_size: bool = False
    notes: list[str] = field(default_factory=list)
    unknown: bool = False
    unread: list[str] = field(default_factory=list)
    strangers: list[str] = field(default_factory=list)

    def swap(self) -> None:
        """BGR to RGB or back."""
        self.swaps += 1
        self.mean = None if self.mean is None else self.mean[::-1]
        self.std = None if self.std is None else self.std[::-1]

    def normalize(self, mean: Any, std: Any) -> None:
        """`(x - mean) / std` of what is there."""
        if self.padding is not None and self.padding[1] and self.mean is not None and self.std is not None:
            # What was padded after a normalization goes through one more: pixels that would have become the same.
            values, _, swaps = self.padding
            values = values if (self.swaps - swaps) % 2 == 0 else values[::-1]
            pixels = _each(lambda value, scale, old: value * scale + old, values, self.std, self.mean)
            self.padding = pixels, False, self.swaps
        self.normalizes = True
        said = mean, std
        mean, std = triple(mean), triple(std)
        if self.mean is None or self.std is None or mean is None or std is None or min(std) <= 0:
            self.mean = self.std = None
            self.unread.append(f"mean={shown(said[0])}, std={shown(said[1])}")
            return
        self.mean = _each(lambda old, scale, new: old + new * scale, self.mean, self.std, mean)
        self.std = _each(lambda scale, new, _: scale * new, self.std, std, std)

    def room(self) -> tuple[int, int] | None:
        """(height, width) of a padded landscape image that is as large as the steps make it."""
        size = self.image.get("stretch") or (self.image.get("short"), self.image.get("long"))
        if None in size:
            return self.canvas
        height, width = (max(sides) for sides in zip(size, self.canvas or size, strict=True))
        for divisor in filter(None, self.divisors):
            height, width = (-(-side // divisor) * divisor for side in (height, width))
        return height, width

    def stray(self, step: Any) -> None:
        """A step that is not known here, or of which nothing could be read."""
        settings = step if isinstance(step, dict) else {"type": "a step that its config computes"}
        listed = ", ".join(f"{key}={shown(value)}" for key, value in settings.items() if key != "type")
        self.strangers.append(f"{settings.get('type')}({listed})"[:160])

    def unsized(self) -> str | None:
        """Why nothing tells the size; None if something does."""
        if self.room() is not None or "short" in self.image:
            return None
        if not self.strangers:
            return "its config has no test pipeline that resizes"
        return f"its test pipeline has {', '.join(self.strangers[:3])}, of which no size is read"

    def unnormalized(self) -> str | None:
        """Why nothing tells the normalization, where something was to tell it."""
        return f"its config normalizes by {self.unread[0]}, which cannot be used" if self.unread else None

    def own_padding(self) -> OwnPadding | None:
        """How far each image is padded by itself; None if that could not be read."""
        divisors = tuple(divisor for divisor in self.divisors if divisor is not None)
        if len(divisors) < len(self.divisors):
            return None
        usual = "data_preprocessor without pad_size_divisor" if self.generation == 3 else "no step Pad in its pipeline"
        return OwnPadding(", ".join(self.padders) or usual, divisors, self.least)

    def divide(self, divisor: Any, key: str) -> None:
        """Pad to a multiple of a setting, named by its key; None is no setting."""
        if divisor is None:
            return
        number = whole(divisor)
        self.divisors.append(number if number is not None and number > 0 else None)
        self.padders.append(f"{key}={shown(divisor)}")

    def pad(self, value: Any) -> None:
        """Fill what surrounds the image, if the value can be read."""
        values = triple(value)
        padding = None if values is None else (values, self.normalizes, self.swaps)
        if padding is None:
            self.notes.append(f"padding with {shown(value)} is not honoured")
        elif self.padding not in (None, padding):
            self.notes.append(
                f"padding with {shown(value)} around another padding is not honoured, the first fills all"
            )
        else:
            self.padding = padding


def _each(rule: Callable[[float, float, float], float], *values: Triple) -> Triple:
    first, second, third = (rule(*numbers) for numbers in zip(*values, strict=True))
    return first, second, third


def triple(value: Any) -> Triple | None:
    """Three finite numbers, or one for all three; None if it is neither."""
    if not isinstance(value, list | tuple) or not all(map(_is_number, value)):
        return None
    numbers = [float(number) for number in value] * (3 if len(value) == 1 else 1)
    return (numbers[0], numbers[1], numbers[2]) if len(numbers) == 3 else None


def _is_number(value: Any) -> bool:
    return type(value) in (int, float) and abs(value) < LARGEST
