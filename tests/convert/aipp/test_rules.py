import pytest

from convert.aipp.rules import aipp_problems, misfits

GOOD = {
    "aipp_mode": "static",
    "input_format": "RGB888_U8",
    "src_image_size_w": "640",
    "src_image_size_h": "480",
    "mean_chn_0": "123",
    "min_chn_0": "0.675",
    "var_reci_chn_0": "0.0171",
}


def text(**changes):
    return "aipp_op {\n" + "".join(f"  {name} : {value}\n" for name, value in (GOOD | changes).items()) + "}\n"


def test_a_legal_file_has_no_problem():
    assert aipp_problems("# mine\n" + text()) == []


REFUSED = [
    ({"mean_chn_0": "123.675"}, "mean_chn_0 is 123.675, expected a whole number from 0 to 255"),
    ({"mean_chn_1": "256"}, "mean_chn_1 is 256, expected a whole number from 0 to 255"),
    ({"min_chn_0": "-1"}, "min_chn_0 is -1, expected a number from 0 to 255"),
    ({"var_reci_chn_2": "70000"}, "var_reci_chn_2 is 70000, expected a number from -65504 to 65504"),
    ({"src_image_size_w": "5000"}, "src_image_size_w is 5000, expected a whole number from 0 to 4096"),
    ({"src_image_size_w": "1"}, "src_image_size_w is 1, expected 2 to 4096, or 0"),
    ({"input_format": "BGR888_U8"}, "input_format is BGR888_U8, expected one of"),
    ({"aipp_mode": "fixed"}, "aipp_mode is fixed, expected static or dynamic"),
    ({"aipp_mode": "dynamic"}, "max_src_image_size is missing"),
    ({"crop": "yes"}, "crop is yes, expected true or false"),
    ({"resize": "true"}, "resize is not supported by AIPP"),
    ({"matrix_r0c0": "40000"}, "matrix_r0c0 is 40000, expected a whole number from -32677 to 32676"),
    ({"padding": "true", "left_padding_size": "33"}, "left_padding_size is 33, expected a whole number"),
    (
        {"padding": "true", "src_image_size_w": "1056", "left_padding_size": "20", "right_padding_size": "20"},
        "padding makes the width 1096, on 310P at most 1080",
    ),
    ({"crop": "true", "load_start_pos_w": "600", "crop_size_w": "64"}, "load_start_pos_w + crop_size_w is 664"),
    ({"crop": "true", "src_image_size_w": "0"}, "must be given with crop or padding"),
    ({"input_format": "YUV420SP_U8", "src_image_size_h": "481"}, "must be even for YUV420SP_U8"),
    ({"input_format": "YUV400_U8", "csc_switch": "true"}, "csc_switch cannot go with YUV400_U8"),
]  # fmt: skip


@pytest.mark.parametrize(("changes", "problem"), REFUSED)
def test_what_atc_would_refuse_is_named(changes, problem):
    assert any(found.startswith(problem) or problem in found for found in aipp_problems(text(**changes)))


@pytest.mark.parametrize("missing", ["aipp_mode", "input_format"])
def test_a_required_field_is_named(missing):
    lines = [line for line in text().splitlines() if missing not in line]
    assert f"{missing} is missing" in aipp_problems("\n".join(lines))


def test_a_field_given_twice_is_named():
    assert aipp_problems(text().replace("}", "  mean_chn_0 : 1\n}")) == ["mean_chn_0 is given twice in a block"]


def test_a_file_without_a_block_is_named():
    assert aipp_problems("aipp_mode: static\n") == ["has no block aipp_op { ... }"]


def test_image_gears_allow_no_size_no_crop_and_no_padding():
    problems = aipp_problems(text(crop="true", padding="true"), image_gears=True)
    assert {problem.split()[0] for problem in problems} == {"crop", "padding", "src_image_size_w", "src_image_size_h"}


def test_reserved_fields_that_are_off_are_taken():
    assert aipp_problems(text(resize="false", cpadding_value="0.0", support_rotation="false")) == []


def test_two_blocks_of_one_input_are_named():
    assert aipp_problems(text() + text(related_input_rank="1") + text()) == [
        "related_input_rank 0 is that of two blocks"
    ]


SHAPE = (1, 3, 480, 640)


def test_a_file_that_fits_the_model_has_no_misfit():
    assert list(misfits(text(), [SHAPE])) == []
    assert list(misfits(text(), [])) == []
    assert list(misfits(text(), [None])) == []
    assert list(misfits(text(), [(None, 1, None, None)])) == []
    assert list(misfits(text(aipp_mode="dynamic"), [(1, 3, 8, 8)])) == []


@pytest.mark.parametrize(
    ("changes", "shape", "misfit"),
    [
        ({}, (1, 3, 480, 600), "makes images of width 640, the model's input has 600"),
        ({"crop": "true", "crop_size_w": "600", "crop_size_h": "400"}, SHAPE, "makes images of height 400, the model"),
        (
            {"padding": "true", "top_padding_size": "2", "bottom_padding_size": "3"},
            SHAPE,
            "makes images of height 485, the model's input has 480",
        ),
        (
            {"padding": "true", "left_padding_size": "4", "right_padding_size": "3"},
            SHAPE,
            "makes images of width 647, the model's input has 640",
        ),
        ({"input_format": "YUV400_U8"}, SHAPE, "input_format is YUV400_U8, of 1 channels; the model's input has 3"),
        ({"related_input_rank": "1"}, SHAPE, "related_input_rank is 1, the model has 1 inputs"),
    ],
)
def test_what_does_not_fit_the_model_is_named(changes, shape, misfit):
    assert next(misfits(text(**changes), [shape])).startswith(misfit)
