"""Work counted by hand, and as published for the R50 detectors."""

import onnx
import pytest
from onnx import TensorProto, helper

from convert.cost.macs import count_work
from convert.graph.freeze import freeze
from detector.errors import SpecError
from detector.geometry import Size

FLOAT = TensorProto.FLOAT


def weight(name, *shape):
    """Only its shape is looked at."""
    return helper.make_tensor(name, FLOAT, shape, b"\0" * 4 * _count(shape), raw=True)


def _count(shape):
    count = 1
    for size in shape:
        count *= size
    return count


def model(nodes, inputs, outputs, weights):
    values = [helper.make_tensor_value_info(name, FLOAT, shape) for name, shape in inputs.items()]
    results = [helper.make_tensor_value_info(name, FLOAT, shape) for name, shape in outputs.items()]
    graph = helper.make_graph(nodes, "g", values, results, weights)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 16)])


def test_a_convolution():
    node = helper.make_node("Conv", ["x", "w", "b"], ["y"], pads=[1, 1, 1, 1], strides=[2, 2])
    made = model([node], {"x": [2, 3, 8, 10]}, {"y": [2, 16, 4, 5]}, [weight("w", 16, 3, 3, 3), weight("b", 16)])
    work = count_work(made)
    assert work.convolutions == work.macs == 2 * 16 * 4 * 5 * 3 * 3 * 3
    assert work.parameters == 16 * 3 * 3 * 3 + 16
    assert work.values == 2 * 3 * 8 * 10 + 2 * 16 * 4 * 5


def test_a_convolution_in_groups():
    node = helper.make_node("Conv", ["x", "w"], ["y"], group=4)
    made = model([node], {"x": [1, 8, 5, 5]}, {"y": [1, 12, 3, 3]}, [weight("w", 12, 2, 3, 3)])
    assert count_work(made).convolutions == 12 * 3 * 3 * 2 * 3 * 3


def test_a_transposed_convolution():
    node = helper.make_node("ConvTranspose", ["x", "w"], ["y"], strides=[2, 2])
    made = model([node], {"x": [1, 4, 5, 5]}, {"y": [1, 6, 10, 10]}, [weight("w", 4, 6, 2, 2)])
    assert count_work(made).convolutions == 5 * 5 * 4 * 6 * 2 * 2


def test_matrix_products():
    nodes = [helper.make_node("MatMul", ["x", "w"], ["y"]), helper.make_node("Gemm", ["y", "v"], ["z"], transB=1)]
    made = model(nodes, {"x": [7, 11]}, {"z": [7, 5]}, [weight("w", 11, 13), weight("v", 5, 13)])
    work = count_work(made)
    assert (work.convolutions, work.products) == (0, 7 * 13 * 11 + 7 * 5 * 13)
    assert work.parameters == 11 * 13 + 5 * 13
    assert work.values == 7 * 11 + 2 * 7 * 13 + 7 * 5


def test_a_product_of_stacks_and_a_transposed_one():
    nodes = [helper.make_node("MatMul", ["x", "w"], ["y"]), helper.make_node("Gemm", ["a", "a"], ["b"], transA=1)]
    made = model(nodes, {"x": [2, 3, 4, 5], "a": [6, 7]}, {"y": [2, 3, 4, 8], "b": [7, 7]}, [weight("w", 5, 8)])
    assert count_work(made).products == 2 * 3 * 4 * 8 * 5 + 7 * 7 * 6


def test_a_weight_that_two_nodes_share_is_one():
    nodes = [helper.make_node("Conv", [source, "w"], [target]) for source, target in (("x", "y"), ("y", "z"))]
    made = model(nodes, {"x": [1, 4, 3, 3]}, {"z": [1, 4, 3, 3]}, [weight("w", 4, 4, 1, 1)])
    work = count_work(made)
    assert (work.convolutions, work.parameters) == (2 * 4 * 3 * 3 * 4, 16)


def test_an_unknown_shape_is_refused():
    made = model(
        [helper.make_node("Conv", ["x", "w"], ["y"])], {"x": ["n", 4, 3, 3]}, {"y": None}, [weight("w", 4, 4, 1, 1)]
    )
    with pytest.raises(SpecError, match=r"the shape of 'y' at Conv '' is not known, so its work cannot be counted"):
        count_work(made)


def test_a_graph_without_work_is_refused(canonical):
    with pytest.raises(SpecError, match="neither convolutions nor matrix products"):
        count_work(freeze(canonical, batch_size=1, canvas=Size(64, 96)))


class Net:
    """Convolutions of a ResNet-50 detector, one after the other, as an ONNX graph without meaningful weights."""

    def __init__(self, height, width):
        self.nodes, self.weights = [], {}
        self.image = [1, 3, height, width]

    def conv(self, source, out, channels, kernel, stride=1, name=None):
        name = name or f"c{len(self.nodes)}"
        if name not in self.weights:
            tensor = onnx.TensorProto(name=name, data_type=FLOAT, dims=[out, channels, kernel, kernel])
            self.weights[name] = tensor
        pad = kernel // 2
        target = f"t{len(self.nodes)}"
        self.nodes.append(helper.make_node("Conv", [source, name], [target], strides=[stride] * 2, pads=[pad] * 4))
        return target

    def resnet(self):
        x = self.conv("x", 64, 3, 7, 2)
        self.nodes.append(helper.make_node("MaxPool", [x], ["p"], kernel_shape=[3, 3], strides=[2, 2], pads=[1] * 4))
        x, channels, stages = "p", 64, []
        for stage, blocks in enumerate((3, 4, 6, 3)):
            width = 64 * 2**stage
            for block in range(blocks):
                stride = 2 if block == 0 and stage > 0 else 1
                if block == 0:
                    self.conv(x, 4 * width, channels, 1, stride)
                y = self.conv(self.conv(x, width, channels, 1), width, width, 3, stride)  # torch's style
                x = self.conv(y, 4 * width, width, 1)
                channels = 4 * width
            stages.append(x)
        return stages[1:]

    def pyramid(self, stages):
        lateral = [self.conv(stage, 256, 512 * 2**index, 1) for index, stage in enumerate(stages)]
        levels = [self.conv(level, 256, 256, 3) for level in lateral]
        p6 = self.conv(levels[-1], 256, 256, 3, 2)  # from P5, as torchvision; from C5 RetinaNet has 1.1e9 more
        return [*levels, p6, self.conv(p6, 256, 256, 3, 2)]

    def head(self, levels, outputs):
        """Two towers of four, and what reads them: (tower, channels)."""
        for level in levels:
            towers = []
            for tower in range(2):
                x = level
                for index in range(4):
                    x = self.conv(x, 256, 256, 3, name=f"tower{tower}_{index}")
                towers.append(x)
            for name, (tower, channels) in enumerate(outputs):
                self.conv(towers[tower], channels, 256, 3, name=f"out{name}")

    def macs(self):
        inputs = [helper.make_tensor_value_info("x", FLOAT, self.image)]
        graph = helper.make_graph(self.nodes, "g", inputs, [], list(self.weights.values()))
        return count_work(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 16)])).convolutions


def fcos(height, width):
    net = Net(height, width)
    net.head(net.pyramid(net.resnet()), [(0, 80), (1, 4), (1, 1)])
    return net.macs() / 1e9


def retinanet(height, width):
    net = Net(height, width)
    net.head(net.pyramid(net.resnet()), [(0, 9 * 80), (1, 9 * 4)])
    return net.macs() / 1e9


@pytest.mark.parametrize(
    ("detector", "canvas", "published"),
    [
        (fcos, (800, 1344), 214.7),
        (fcos, (1344, 1344), 360.6),
        (retinanet, (800, 1344), 249.4),
        (retinanet, (1216, 1216), 342.8),
        (retinanet, (1344, 1344), 418.7),
    ],
)
def test_the_published_detectors(detector, canvas, published):
    assert detector(*canvas) == pytest.approx(published, abs=0.05)
