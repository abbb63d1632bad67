"""Where an image lies on the canvas, in both directions, and how large each framework draws it."""

from detector.geometry.letterbox import Boxes, Letterbox, ResizeRule, Size, place_on_best

__all__ = ["Boxes", "Letterbox", "ResizeRule", "Size", "place_on_best"]
