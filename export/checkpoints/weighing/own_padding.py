"""How far a training framework pads each image by itself, against the one canvas of an exported model."""

from dataclasses import dataclass

from detector.geometry import Size


@dataclass(frozen=True, slots=True)
class OwnPadding:
    """What an image is padded to after its resizing, by itself.

    Attributes:
        said_by: the setting that decides.
        divisors: what its sides become multiples of, one after the other; () for no padding at all.
        least: (height, width) that every image reaches before that, or None.
        moves_points: the distance of neighbouring cells is the padded side divided by their number.
    """

    said_by: str
    divisors: tuple[int, ...] = ()
    least: tuple[int, int] | None = None
    moves_points: bool = False

    def difference(self, source: str, canvas: Size, stretch: Size | None, *, group_norm: bool) -> list[str]:
        """One phrase where some image gets less padding than up to the canvas; [] where none can.

        Args:
            source: what the framework's recipe comes from.
            canvas: of the exported model.
            stretch: the size of every image, if there is one; None: from one pixel on, where the canvas decides.
            group_norm: the head averages over its whole input, the padding included.
        """
        smallest = self._padded(stretch or Size(1, 1))
        if smallest.height >= canvas.height and smallest.width >= canvas.width:
            return []
        moved = "scores near its edge move a little"
        if group_norm:
            moved += ", and all of them by group normalization, which averages over the padding"
        if self.moves_points:
            moved += "; so do boxes of P6 and P7, whose cells lie the padded side divided by their number apart"
        return [f"each image is padded to the canvas {canvas}, by {source} {self._rule()} ({self.said_by}): {moved}"]

    def _padded(self, size: Size) -> Size:
        least = self.least or (1, 1)
        height, width = max(size.height, least[0]), max(size.width, least[1])
        for divisor in self.divisors:
            height, width = (-(-side // divisor) * divisor for side in (height, width))
        return Size(height, width)

    def _rule(self) -> str:
        least = [] if self.least is None else [f"to {Size(*self.least)}"]
        rules = [*least, *(f"to multiples of {divisor}" for divisor in self.divisors if divisor > 1)]
        return f"{' and '.join(rules)} only" if rules else "not at all"
