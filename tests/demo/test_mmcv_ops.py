import pytest

torch = pytest.importorskip("torch")

from demo.mmcv_ops import nms  # noqa: E402


def overlap(first: list[float], second: list[float], offset: int) -> float:
    width = min(first[2], second[2]) - max(first[0], second[0]) + offset
    height = min(first[3], second[3]) - max(first[1], second[1]) + offset
    common = max(width, 0) * max(height, 0)
    areas = [(box[2] - box[0] + offset) * (box[3] - box[1] + offset) for box in (first, second)]
    return common / (sum(areas) - common)


@pytest.mark.parametrize("offset", [0, 1])
@pytest.mark.parametrize("threshold", [0.3, 0.5, 0.7])
def test_nms_keeps_what_the_definition_keeps(threshold: float, offset: int):
    generator = torch.Generator().manual_seed(0)
    corners = torch.randint(0, 40, (120, 2), generator=generator).double()
    boxes = torch.cat([corners, corners + torch.randint(5, 30, (120, 2), generator=generator)], dim=1)
    scores = torch.randperm(120, generator=generator).double()
    kept: list[int] = []
    for index in scores.argsort(descending=True).tolist():
        if all(overlap(boxes[index].tolist(), boxes[k].tolist(), offset) <= threshold for k in kept):
            kept.append(index)
    assert nms(boxes, scores, threshold, offset).tolist() == kept


def test_nms_of_nothing_is_nothing():
    assert nms(torch.zeros(0, 4), torch.zeros(0), 0.5).tolist() == []
