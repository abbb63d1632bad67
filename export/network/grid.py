"""Where the cells of a pyramid level lie on the canvas."""

import torch
from torch import Tensor

from export.network.config import Network


def cell_points(
    cells: tuple[int, int], canvas: tuple[int, int], level: int, config: Network, *, offset: float
) -> tuple[Tensor, Tensor]:
    """The point of every cell.

    Args:
        cells: rows and columns of the level.
        canvas: height and width in pixels.
        level: index into the strides.
        config: of the network.
        offset: of the point from the cell's upper left corner, in strides.

    Returns:
        y and x in canvas pixels, (rows, columns) each.
    """
    rows, columns = cells
    stride = config.strides[level]
    # torchvision's AnchorGenerator divides the padded image by the feature map and rounds down, so that cells of P6 and
    # P7 may lie a pixel or more closer than the nominal stride.
    step_y, step_x = (stride, stride) if config.cell_step == "stride" else (canvas[0] // rows, canvas[1] // columns)
    inside = int(stride * offset)
    y = (torch.arange(rows) * step_y + inside).float()[:, None].expand(rows, columns)
    x = (torch.arange(columns) * step_x + inside).float()[None, :].expand(rows, columns)
    return y, x
