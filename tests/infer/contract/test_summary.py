import pytest

from infer.contract.summary import Summary, Timings


def test_throughput_is_samples_per_second_of_execution():
    assert Summary(Timings([10.0, 30.0]), batch_size=4).throughput == pytest.approx(200)


def test_without_time_there_is_no_throughput():
    assert Summary(Timings([0.0]), batch_size=4).throughput == 0


def test_the_percentile_is_interpolated():
    document = Summary(Timings([1.0, 2.0]), batch_size=1).document({}, [])
    assert document["NPU_compute_time"]["percentile(99%)"] == pytest.approx(1.99)


def test_numbers_are_printed_in_full():
    lines = Summary(Timings([0.1, 0.2]), batch_size=2).lines(show_copies=False)
    assert lines[1].startswith("NPU_compute_time (ms): min = 0.1, max = 0.2, mean = 0.15000000000000002, median = ")
    assert lines[2].startswith("throughput 1000*batchsize.mean(2)/NPU_compute_time.mean(0.15000000000000002): 13333.3")


def test_copies_are_shown_on_request():
    lines = Summary(Timings([1.0], [0.0], [0.0]), batch_size=1).lines(show_copies=True)
    assert [line.split()[0] for line in lines[1:4]] == ["H2D_latency", "NPU_compute_time", "D2H_latency"]
