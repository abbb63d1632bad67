import pytest

from infer.device_errors import CODES, explain, explain_code


@pytest.mark.parametrize(
    ("line", "said", "means"),
    [
        (
            "[ERROR] load model from file failed, model file is m.om",
            "load model from file failed",
            "damaged, for another",
        ),
        ("[ERROR] the dymBatch parameter is not correct", "dymBatch parameter is not correct", "no such gear"),
        ("[ERROR] the dynamic_dims parameter is not correct", "dynamic_dims parameter is not correct", "no such gear"),
        ("[ERROR] out i:0 size is zero", "size is zero", "does not know its output sizes"),
        ("[ERROR] arg0 tensorsize: 24 filesize: 7 not match", "tensorsize: 24", "file's size"),
        ("[ERROR] check i:0 name:x in size:5 needsize:24 not match", "in size:5", "file's size"),
        ("RuntimeError: dynamic batch om model detected, but dymbatch", "dynamic batch om model", "open batch axis"),
        ("[ERROR] path :/a/b is a soft link, not supported", "is a soft link", "symbolic link"),
        ("[WARNING] can't find aclruntime, please install", "can't find aclruntime", "falls back to --run_mode tensor"),
        ("ImportError: libascendcl.so: cannot open shared object file", "libascendcl.so", "library of CANN"),
        ("[ERROR] aclmdlExecute failed, ret is 507011", "code 507011", "execution of the model failed"),
        ("open device 0 failed, runtime result = 507033.", "code 507033", "could not be started"),
        ("[ERROR] aclrtMalloc failed errorCode:207001", "code 207001", "memory could not be allocated"),
        ("acl init failed, errorCode = 100039", "code 100039", "for compiling, not for running"),
        ("ret 145013", "code 145013", "batch gear is invalid"),
        ("[ERROR] GE ... E19999: Inner Error!", "code E19999", "graph engine"),
    ],
)
def test_a_known_message_has_cause_and_next_step(line: str, said: str, means: str):
    findings = explain(["[INFO] acl init success", line])
    assert len(findings) == 1
    assert said in findings[0].said
    assert means in findings[0].means
    assert len(findings[0].step) > 10


def test_a_number_that_is_no_code_is_left_alone():
    lines = ["[INFO] get filesperbatch files0 size:507011 tensor0size:507011 filesperbatch:1 runcount:100003"]
    assert explain(lines) == []


def test_a_thing_said_twice_is_explained_once():
    assert [str(item.said) for item in explain(["ret 507011", "ret 507015", "ret is 507011"])] == [
        "code 507011",
        "code 507015",
    ]


@pytest.mark.parametrize(("code", "means"), [(107099, "environment"), (207099, "resource"), (507099, "internal")])
def test_an_unlisted_code_has_its_class(code: int, means: str):
    finding = explain_code(code)
    assert finding is not None
    assert means in finding.means
    assert "unlisted" in finding.means


@pytest.mark.parametrize("code", [0, 7, 12345, 400000, 1234567])
def test_other_numbers_are_no_codes(code: int):
    assert explain_code(code) is None


def test_every_code_has_six_digits_and_a_step():
    assert all(100000 <= code < 600000 and means and step for code, (means, step) in CODES.items())
