import re

import pytest

from detector.diagnosis.log import explain_log
from detector.diagnosis.messages import MESSAGES, said_in


@pytest.mark.parametrize(
    ("line", "means"),
    [
        # ais_bench and aclruntime
        ("[ERROR] load model from file failed, model file is m.om", "damaged, for another"),
        ("[ERROR] the dymBatch parameter is not correct", "no such gear"),
        ("[ERROR] the dynamic_dims parameter is not correct", "no such gear"),
        ("the dynamic_dims parameter is not specified for model conversion", "no gears of the kind"),
        ("[ERROR] om model has 2 input, but dymShape parametet give 1", "each once"),
        ("[ERROR] out i:0 size is zero", "does not know its output sizes"),
        ("[ERROR] arg0 tensorsize: 24 filesize: 7 not match", "file's size"),
        ("[ERROR] check i:0 name:x in size:5 needsize:24 not match", "file's size"),
        ("[ERROR] save out files error array shape:(1, 2)", "does not divide"),
        ("RuntimeError: dynamic batch om model detected, but dymbatch", "open batch axis"),
        ("[ERROR] path :/a/b is a soft link, not supported", "symbolic link"),
        ("[ERROR] The file a is group writable, or is others writable", "too open"),
        ("[WARNING] can't find aclruntime, please install", "falls back to --run_mode tensor"),
        ("[WARNING] aclruntime version:0.0.1 is lower please update", "falls back to --run_mode tensor"),
        ("[ERROR] deviceId(4) is bigger than or equal to deviceCount(2)", "no device of this number"),
        ("[ERROR] fileslist:1 intensor:2 not match", "another number of inputs"),
        ("[ERROR] a of input args not find valid file,valid file format:[*.npy *.bin]", "no .bin and no .npy"),
        ("[ERROR] Parse npy header: should be little endian.", ".npy file is damaged"),
        ("[ERROR] path: /a/m.om not exist, please check if file or dir is exist", "is not there"),
        ("[ERROR] path:/a/m.bin, file type not in ['om']", "another suffix"),
        ("[ERROR] file_size:9 byte out of max limit 8 byte", "larger than ais_bench takes"),
        ("[ERROR] Current user doesn't have read permission to the file m.om", "no right to a file"),
        ("error: argument --model/-m: om path:/a/m.om is illegal. Please check.", "a line before it says why"),
        ("RuntimeError: the format of dynamic dims string is illegal, please check", "not of the form"),
        ("[ERROR] om has 2 output, but outputSize parametet give 1", "another number of sizes"),
        ("[ERROR] outnames x not valid", "no output of that name"),
        ("ValueError: dump failed, 'dump_mode' need to be set as 'input', 'output' or 'all'", "dump and profiler"),
        ("__main__.py: error: unrecognized arguments: --batch_size 4", "does not take"),
        ("ImportError: cannot import name 'InferSession' from 'ais_bench.infer.interface'", "different versions"),
        ("[ERROR] model with dynamic AIPP input can't find config file.", "dynamic AIPP"),
        ("[ERROR] error i:0 ndata.shape:() len:0 <= output_batchsize_axis:0  is invalid", "does not divide"),
        # Python and the loader
        ("This program was compiled against version 3.12.4 of the Protocol Buffer runtime library", "another protobuf"),
        ("UnicodeDecodeError: 'ascii' codec can't decode byte 0xe5", "not UTF-8"),
        ("atc.bin: error while loading shared libraries: libpython3.7m.so.1.0: cannot open", "one version of Python"),
        ("BlockingIOError: [Errno 11] Resource temporarily unavailable", "limit of processes"),
        ("OSError: [Errno 30] Read-only file system: 'kernel_meta'", "reading only"),
        ("x.sh: line 3: 41 Bus error (core dumped) atc", "/dev/shm"),
        (
            "ImportError: /x/aclruntime.cpython-310-x86_64-linux-gnu.so: undefined symbol: aclrtX",
            "against another CANN",
        ),
        ("OSError: /usr/local/Ascend/opp/libops.so: undefined symbol: _ZN2ge1", "releases are mixed"),
        ("atc.bin: symbol lookup error: libge.so: y", "releases are mixed"),
        ("ImportError: libascendcl.so: cannot open shared object file: No such file", "library of CANN"),
        ("atc: error while loading shared libraries: libge_compiler.so: cannot open", "library of CANN"),
        ("ImportError: libascend_hal.so: cannot open shared object file", "library of the driver"),
        ("ImportError: libGL.so.1: cannot open shared object file", "library of the system"),
        ("ImportError: libpython3.9.so.1.0: cannot open shared object file", "built for another Python"),
        ("ImportError: x.so: version `GLIBCXX_3.4.30' not found", "newer system"),
        ("ImportError: libgomp.so.1: cannot allocate memory in static TLS block", "loaded too late"),
        ("OSError: a.so: wrong ELF class: ELFCLASS32", "another processor"),
        ("/usr/bin/ld: a.o: undefined reference to `aclmdlExecute'", "without CANN's libraries"),
        ("/usr/bin/ld: cannot find -lascendcl", "without CANN's libraries"),
        ("RuntimeError: aclnnFoo or aclnnFooGetWorkspaceSize not in libopapi.so", "lacks an operator"),
        ("start working now, please wait for a moment....Killed", "ran out of memory"),
        ("EZ1001: read binary_info_config.json failed, check if the opp_kernel package is installed!", "ops package"),
        # the container and the card
        ("runc failed: error running prestart hook #0: failed to mount src: /x/npu-smi", "could not mount"),
        ("[ERROR] Failed to recognize Ascend chip. (Code = -1)", "does not know the chip"),
        ("[ERROR] TSCH(-1,null): bs_done_exception_proc_timeout: slot_id=1, fault_task=0", "ran longer"),
        ("RuntimeError: [-1][ACL: general failure]", "in a line before it"),
        (
            "ERROR: aclruntime-0.0.2-cp39-cp39-linux_x86_64.whl is not a supported wheel on this platform.",
            "wheel is for another",
        ),
        ("ModuleNotFoundError: No module named 'te.platform'", "comes with CANN"),
        ("ModuleNotFoundError: No module named 'attr'", "kernel compiler needs"),
        ("ModuleNotFoundError: No module named 'acl'", "interface acl"),
        ("ModuleNotFoundError: No module named 'aclruntime'", "not installed for this Python"),
        ("ModuleNotFoundError: No module named 'ais_bench.infer'", "another program of that name"),
        ("AttributeError: module 'numpy' has no attribute 'float'", "numpy is too new"),
        ("bash: atc: command not found", "not on PATH"),
        # the card
        ("Device[0] lost heartbeat", "scheduler does not answer"),
        ("there is an aicore error exception, core id is 0", "in a core of the card"),
        ("an exception occurred during AICPU execution, stream_id:2", "on the AI CPU failed"),
        ("rtX execute failed, reason=[feature not support]", "does not support a call"),
        ("[Init][PlatformInfo]init runtime platform info failed, SocVersion = Ascend310P3", "does not know the chip"),
        ("call halMemAlloc failed, size 8", "used up"),
        ("[ERROR] open device 0 failed", "could not be started"),
        ("the socversion A of bin package does not match the device", "another chip"),
        ("open /dev/davinci0: Permission denied", "no right to the card"),
        # the graph
        ("op[c], the input shape dims should be equal except merge axis", "Concat differ"),
        ("E20007: Failed to run graph fusion pass [NonMaxSuppressionV6Fusion]", "boxes or scores have no fixed shape"),
        ("No supported Ops kernel and engine are found for [a], optype [A].", "no kernel and no engine"),
        ("Optype [A] of Ops kernel [E] is unsupported. Reason: b", "kernel library does not support"),
        ('"message": "The type is not supported."', "no parser knows"),
        ("User specified tensor[x] is not output of graph.", "--out_nodes names"),
        ("external tensor proto[w] must contain location.", "weights outside"),
        ("E10001: Value [X] for parameter [--soc_version] is invalid.", "a chip that this CANN does not know"),
        ("[libprotobuf ERROR x.cc:9] A protocol message was rejected because it was too big", "2 GB"),
        ("atc: unknown command line flag 'mods'", "does not know an option"),
        (
            "EZ3002: Optype [A] is unsupported. Reason: Dynamic shape is not supported on this chip!",
            "no kernel for the operator with dynamic",
        ),
        ("error: ub overflow, requires 9 bits", "more on-chip memory"),
        ("PLEASE submit a bug report to the compiler", "compiler of kernels"),
        ("E19999: Check model magic failed", "no OM, or is damaged"),
        ("op[a] Tiling failed", "cut an operator's work"),
        ("RuntimeError: Unsupported SOC version: Ascend0", "does not know"),
        ("op[a], shapes [1,64] and [1,32] can not broadcast", "do not go together"),
        ("op[a], The shape of the input cannot be converted from [4] to [1,3]", "Reshape's target"),
        # versions
        ("[W] CANN version mismatch. The build version is 1", "releases that do not fit"),
        ("EE1001: Reason: rtX failed, reason=[context pointer null]", "in the lines below"),
        ("dcmi module initialize failed. ret is -8020", "held by another container"),
        ("DrvMngGetConsoleLogLevel failed. (ret=4)", "driver is not usable here"),
        ("TypeError: Descriptors cannot not be created directly.", "protobuf is too new"),
        ("ValueError: numpy.dtype size changed, may indicate", "another numpy"),
        ("ERROR: No matching distribution found for aclruntime", "not on PyPI"),
        ("x.h:1: fatal error: acl/acl.h: No such file or directory", "without CANN's headers"),
        # the machine
        ("PermissionError: [Errno 13] Permission denied: '/x/kernel_meta'", "cannot write its own files"),
        ("x.sh: line 3: 123 Killed atc --model=m", "ran out of memory"),
        ("terminate called after throwing an instance of 'std::bad_alloc'", "ran out of memory"),
        ("OSError: [Errno 28] No space left on device", "disk is full"),
        ("op[a, A], compiler process died, unknown reason", "process that compiles a kernel died"),
        ("[ERROR] TBE Subprocess[task_distribute] raise error[], main process disappeared!", "helpers"),
    ],
)
def test_a_message_has_its_meaning_and_a_step(line: str, means: str):
    found = explain_log(["[INFO] acl init success", line])
    assert found
    assert means in found[0].advice.cause
    assert len(found[0].advice.step) > 10


def test_relative_paths_are_lost_under_the_profiler():
    failure = "[ERROR] load model from file failed, model file is m.om"
    assert "absolute paths" in explain_log(["python3 -m ais_bench --model m.om --profiler 1", failure])[0].advice.step
    assert "absolute paths" not in explain_log(["python3 -m ais_bench --model m.om", failure])[0].advice.step


def test_every_message_says_something_of_its_own():
    causes = [(message.advice.cause, message.pattern.pattern, message.when) for message in MESSAGES]
    assert len(set(causes)) == len(causes)
    assert not [cause for cause, _, _ in causes if "log: debug" in cause]


def test_lines_that_nobody_complains_of_have_no_message():
    for line in ("[INFO] load model m.om success", "all is well", "[INFO] warm up 1 done", "E10016: Opname"):
        assert said_in(line, [line]) is None


def test_the_special_message_comes_before_the_general_one():
    for text, general in (
        ("aclruntime.so: undefined symbol: x", "undefined symbol"),
        ("libGL.so.1: cannot open shared", "lib"),
    ):
        assert re.search(general, text)
    assert "against another CANN" in said_in("aclruntime.so: undefined symbol: x", []).advice.cause


def test_a_card_that_is_held_is_told_from_a_driver_that_is_missing():
    console = "DrvMngGetConsoleLogLevel failed. (g_conLogLevel=3)"
    held = explain_log([console, "dcmi model initialized failed, because the device is used. ret is -8020"])
    assert "held by another" in held[0].advice.cause
    missing = explain_log([console, "dcmi module initialize failed. ret is -8005"])
    assert "not mounted" in missing[0].advice.cause
