"""What Python, the loader of libraries and the machine say."""

from detector.card.sheet import TOOL_VERSION
from detector.diagnosis.message import DRIVER, NUMPY, REBUILD, SETTING, WHEEL, message

PYTHON = (
    message(
        r"was removed in (?:the )?NumPy 2|compiled using NumPy 1\.x|_ARRAY_API not found|"
        r"numpy\.core\.\w+ failed to import",
        "numpy 2 is installed, which the kernel compiler of this CANN does not take",
        f"run pip install 'numpy<2' {NUMPY}",
    ),
    message(
        r"module 'numpy' has no attribute '\w+'|`?np\.\w+`? was a deprecated alias",
        "numpy is too new for the kernel compiler of this CANN",
        f"run pip install 'numpy<1.24' {NUMPY}",
    ),
    message(
        r"numpy\.(?:dtype|ndarray|ufunc) size changed",
        "a package was built for another numpy than is installed",
        f"install both again from one source, numpy first (pip install 'numpy<2') {NUMPY}",
    ),
    message(
        r"Descriptors cannot(?: not)? be created directly",
        "protobuf is too new for a Python package of CANN",
        f"run pip install 'protobuf<3.21' {NUMPY}",
    ),
    message(
        r"compiled against version \S+ of the Protocol Buffer runtime",
        "another protobuf is loaded than the program was built with",
        "take other protobuf libraries (conda's, say) out of LD_LIBRARY_PATH; source the set_env.sh of one CANN only",
    ),
    message(
        r"Unicode(?:Decode|Encode)Error: '(?:ascii|latin-1)' codec",
        "the shell's character encoding is not UTF-8",
        "run `export LC_ALL=C.UTF-8 PYTHONUTF8=1`, or use names of ASCII letters only",
    ),
    message(
        r"(?:No matching distribution found for|satisfies the requirement) (?:aclruntime|ais[_-]bench)\b",
        "ais_bench and aclruntime are not on PyPI",
        "take their wheels or source (docs/npu_host.md); PyPI's ais-bench-benchmark is another program",
    ),
    message(
        r"acl/acl\.h: No such file",
        "aclruntime is built without CANN's headers",
        "set CANN_PATH to the toolkit (export CANN_PATH=$ASCEND_TOOLKIT_HOME), then build again",
    ),
    message(
        r"No module named '?(?:te|tbe|auto_tune|schedule_search|op_test_frame|impl|hccl|opc_tool)\b",
        "a Python package of the kernel compiler, which comes with CANN, is not found",
        "source set_env.sh in this shell: it puts CANN's packages on PYTHONPATH",
    ),
    message(
        r"No module named '?(?:decorator|attrs?|scipy|sympy|cffi|psutil|absl|cloudpickle|ml_dtypes|tornado|synr|"
        r"protobuf|google|pathlib2|requests|jinja2|yaml)\b",
        "a Python package that the kernel compiler needs is missing",
        "install the package that the line names into the Python that atc finds first on PATH (pip install decorator "
        "attrs psutil scipy sympy cffi absl-py cloudpickle ml-dtypes tornado), and source set_env.sh",
    ),
    message(r"No module named '?acl\b", "CANN's Python interface acl is not found", SETTING),
    message(
        r"No module named '?aclruntime\b",
        "aclruntime is not installed for this Python",
        f"install its {TOOL_VERSION} wheel for this Python and processor (docs/npu_host.md)",
    ),
    message(
        r"No module named '?ais_bench\.infer|No module named '?ais_bench\b",
        "ais_bench is not installed for this Python, or it is another program of that name (ais-bench-benchmark)",
        f"install its {TOOL_VERSION} wheel (docs/npu_host.md); PyPI's ais-bench-benchmark is another program",
    ),
    message(
        r"No module named '?pkg_resources\b",
        "setuptools no longer has pkg_resources, which ais_bench asks for its version",
        "run pip3 install 'setuptools<81'",
    ),
    message(
        r"is not a supported wheel on this platform",
        "the wheel is for another Python or another processor",
        "take the wheel whose name has this Python (cp310 for 3.10) and this processor (`uname -m`)",
    ),
)

LOADER = (
    message(
        r"(?:aclruntime|ais_bench)\S*\.so\S*: undefined symbol",
        "aclruntime was built against another CANN than is installed here",
        WHEEL,
    ),
    message(
        r"undefined symbol|symbol lookup error",
        "libraries of different releases are mixed: one was built against another CANN than is loaded",
        "source the set_env.sh of one CANN in a new shell, with no other CANN in LD_LIBRARY_PATH; toolkit, ops package "
        "and driver must fit; a library that is none of CANN's must be built again against this one",
    ),
    message(
        r"version [`']?(?:GLIBC|GLIBCXX|CXXABI)_[\d.]+'? not found",
        "a library was built on a newer system than this one",
        "build it from source on this machine; for GLIBCXX and CXXABI take a newer libstdc++ (the compiler's, conda's)",
    ),
    message(
        r"error while loading shared libraries: libpython3",
        "a program of CANN needs the shared library of one version of Python",
        "install that Python with its shared library and have its lib folder in LD_LIBRARY_PATH; or take CANN's image",
    ),
    message(
        r"libpython3[.\d]*m?\.so\S*: cannot open shared object",
        "a library was built for another Python",
        "install the wheel of this Python",
    ),
    message(
        r"lib(?:ascend_hal|drv\w*|dcmi|mmpa_drv|devmmap|c_sec_drv)\.so\S*: cannot open shared object",
        "a library of the driver is not found",
        "with a card: install the driver, or mount /usr/local/Ascend/driver/lib64 into the container, and have it in "
        "LD_LIBRARY_PATH; without one, to run atc: add <arch>-linux/devlib of CANN to LD_LIBRARY_PATH",
    ),
    message(
        r"lib(?:GL|SM|Xext|Xrender|gomp|gthread-\S*|glib-\S*|stdc\+\+|ssl|crypto|ffi|sqlite3|z|bz2)\.so\S*: cannot "
        r"open shared object",
        "a library of the system is missing",
        "install it with the system's package manager",
    ),
    message(
        r"error while loading shared libraries|\blib\w+\.so[.\d]*: cannot open shared object",
        "a library of CANN is not found",
        SETTING,
    ),
    message(
        r"undefined reference to [`'\"]?(?:acl|ge::|rt[A-Z])|cannot find -l(?:ascendcl|acl_\w+|ge_\w+|runtime)\b",
        "a program is built without CANN's libraries",
        "source set_env.sh first, name CANN's lib64 to the linker (CANN_PATH for aclruntime), and build again",
    ),
    message(
        r"binary_info_config\.json (?:failed|not)|(?:opp_kernel|ops?[_-]kernels?) package (?:is|not) ",
        "CANN's ops package is not installed, or is for another chip",
        "install the ops (kernels) package of this chip and release (310p-ops), and source its set_env.sh",
    ),
    message(
        r"not in libopapi\.so|libopapi\.so ?not found",
        "the installed CANN lacks an operator that the framework calls: it is older, or without its ops package",
        "install toolkit and ops package of the release that the framework names",
    ),
    message(
        r"cannot allocate memory in static TLS block",
        "a library with thread storage was loaded too late",
        "run `export LD_PRELOAD=` with the path of the library that the line names, then start again",
    ),
    message(
        r"wrong ELF class|Exec format error|cannot execute binary file",
        "a program or library is for another processor",
        "install the packages for this processor: `uname -m`",
    ),
    message(r"\batc: (?:command )?not found|command not found: atc", "atc is not on PATH", SETTING),
    message(r"npu-smi: (?:command )?not found", "the driver's npu-smi is not on PATH", DRIVER),
)

CRASH_OF_ATC = message(
    r"Segmentation fault|SIGSEGV|(?:signal|exit(?:ed)?(?: with| code| status)*) 139\b",
    "atc crashed on an operator that it does not take in this form; a NonMaxSuppression with 3 or 4 inputs does that",
    "give every NonMaxSuppression of the ONNX all five inputs (score_threshold too), or export without it; "
    "`python -m convert lint` names the node",
)
MACHINE = (
    message(
        r"std::bad_alloc|Cannot allocate memory|\bMemoryError\b|(?i:out of memory: kill)|oom[-_ ]?kill|"
        r"(?:^|\s)\d+ Killed\b|^(?:\S+: |.*\.\.\.)?Killed$",
        "the host ran out of memory",
        "free memory or add swap; atc: run with TE_PARALLEL_COMPILER=1, fewer gears, a smaller batch",
    ),
    message(
        r"[Pp]ermission denied.{0,40}(?:kernel_meta|ascend/log|atc_data|fusion_result)|"
        r"(?:kernel_meta|ascend/log|atc_data|fusion_result).{0,40}[Pp]ermission denied",
        "CANN cannot write its own files: it needs the working directory and $HOME/ascend",
        "run in a folder that is yours, with a HOME that can be written; ASCEND_WORK_PATH names another place",
    ),
    message(
        r"[Cc]an't start new thread|Resource temporarily unavailable|fork: (?:retry|Cannot)",
        "the limit of processes and threads is reached",
        "raise `ulimit -u` (a container's --pids-limit), or run with TE_PARALLEL_COMPILER=1",
    ),
    message(
        r"Read-only file system",
        "a folder cannot be written: its file system is mounted for reading only",
        "run in a folder that can be written, with such a HOME; ASCEND_WORK_PATH names another place for CANN's files",
    ),
    message(
        r"Bus error|SIGBUS",
        "memory that a program had mapped was not there: /dev/shm is full, or a file was cut while it was read",
        "give the container more (--shm-size=4g), and compare the SHA-256 of the model file",
    ),
    message(r"[Tt]oo many open files", "the limit of open files is reached", "raise `ulimit -n`"),
    message(r"No space left on device|Disk quota exceeded", "the disk is full", "free some space, or work elsewhere"),
    message(
        r"Segmentation fault|SIGSEGV|(?:signal|exit(?:ed)?(?: with| code| status)*) 139\b",
        "a crash in native code while an OM was loaded or run",
        f"{WHEEL}; or {REBUILD}",
        "stage",
        when=r"acl init|load model|ais_bench|aclruntime|python3? \S*\.py|\[INFO\] (?:acl|open device)|"
        r"aclError|aclmdl\w+|/acl_\w+",
    ),
    CRASH_OF_ATC,
    message(
        r"Aborted|terminate called",
        "a program ended itself after an error",
        "see the line before it",
        "vague",
    ),
    message(
        r"TBE Subprocess\S* raise error|main process disappeared|ForkServerPoolWorker",
        "the helpers of the kernel compiler ended because the main process did",
        "look for the first error before it; where there is none, memory: run with TE_PARALLEL_COMPILER=1",
        "vague",
    ),
)
