"""What the runtime says of the card (hicann/runtime, public reports) and aclruntime of the device (8da7f645)."""

from detector.diagnosis.message import DRIVER, message
from detector.diagnosis.tables import returns

UNUSABLE = (
    "the driver is not usable here: not installed, not mounted into the container, held by another container, or no "
    "right to its device files"
)
MOUNT = (
    "install the driver or mount it (docs/npu_host.md); give --device /dev/davinci_manager and the others; end what "
    "else holds the card; join the driver's group"
)
DEVICE = (
    message(
        r"deviceId\(-?\d+\) is (?:less than|bigger than)|device id is out of range|"
        r"device:\S+ is invalid\. valid value range",
        returns()["107001"].cause,
        returns()["107001"].step,
    ),
    message(
        r"(?i:ASCEND_(?:RT_)?VISIBLE_DEVICES\S* error|set visible device failed|invalid.{0,40}visible devices)",
        "ASCEND_RT_VISIBLE_DEVICES names a device that this machine or container has not",
        "unset it, or number the devices from 0 as `npu-smi info` in this container lists them",
    ),
    message(
        r"(?i:ModelCheckCompatibility|model socversion|socversion \S+ of bin package does not match|soc version error)",
        "the OM, or a kernel, is for another chip than this one",
        "build the OM again for the chip of `npu-smi info`: SOC=Ascend310P3 make om",
    ),
    message(
        r"(?i:(?:CANN|driver|firmware|runtime) version.{0,30}(?:mismatch|not match|incompatible)|"
        r"version (?:mismatch|not match).{0,40}(?:CANN|driver|firmware))",
        "two parts are of releases that do not fit: a program of another CANN, or the driver",
        "build it for the CANN that is installed; driver and CANN must be a published pair (docs/npu_host.md)",
    ),
    message(
        r"context (?:pointer )?null|context is a null pointer|ctx is NULL|context can not be null",
        "the runtime was asked for its messages and has no device: the error itself is in the lines below",
        "read the lines below it",
        "vague",
    ),
    message(
        r"dcmi m\w+ initialized? failed.*(?:is used|-?8020)",
        "the card is held by another container or process",
        "end it, or give this one another card",
    ),
    message(r"dcmi m\w+ initialized? failed", UNUSABLE, MOUNT),
    message(r"(?i:drvmnggetconsoleloglevel failed)", UNUSABLE, MOUNT, "stage"),
    message(
        r"(?i:prestart[ -]hook).{0,400}(?:failed to mount|npu-smi|davinci|ascend)|"
        r"ascend-docker-(?:hook|runtime).{0,60}fail",
        "the container was not started: its runtime could not mount the host's driver",
        "install the driver on the host (`npu-smi info` works there); or start without the Ascend runtime, with "
        "--device and -v (docs/npu_host.md)",
    ),
    message(
        r"(?i:failed to recognize ascend chip)",
        "a program does not know the chip, or sees none",
        "run `npu-smi info` in the same shell or container; take a release of the program that knows the chip",
    ),
    message(
        r"init runtime platform info failed|SocVersion = \S+.*(?:not support|invalid)",
        "this CANN does not know the chip: the ops package of the chip is missing, or is of another release",
        "install toolkit and ops package of one release that names the chip, and source its set_env.sh",
    ),
    message(
        r"(?:/dev/\S*(?:davinci|devmm|hisi)\S*|drv\w*|dcmi\w*).{0,40}[Pp]ermission denied",
        "no right to the card's device files",
        "join the driver's group (ls -l /dev/davinci*), then log in again",
    ),
    message(
        r"(?:Failed to allocate|[Mm]alloc\w*(?: physical)? (?:device )?memory fail|rtMalloc fail|"
        r"halMem(?:Alloc|Create) ?fail|"
        r"allocate device memory failed|memory data malloc failed|NPU out of memory|malloc device buffer failed)",
        "memory of the device could not be allocated: it is used up",
        returns()["207001"].step,
    ),
    message(r"lost heartbeat", "the card's task scheduler does not answer any more", DRIVER, "stage"),
    message(
        r"(?i:aicpu exception|aicpu kernel execute failed|during AICPU execution|AICPU Kernel task happen error|"
        r"aicpu timeout)",
        "an operator on the AI CPU failed while it ran",
        returns()["507018"].step,
        "stage",
    ),
    message(
        r"(?i:ai(?:core|vec) (?:error|exception|timeout)|vector core (?:exception|timeout)|"
        r"AICORE Kernel task happen error)",
        "an operator failed in a core of the card while it ran (out of bounds, or a kernel that does not fit)",
        returns()["507015"].step,
        "stage",
    ),
    message(
        r"bs_done_exception_proc_timeout|exception_proc_timeout",
        "an operator ran longer on an AI core than the card allows",
        "the plog names it by its task id; a smaller batch or gear, or the graph without it",
        "stage",
    ),
    message(
        r"reason=\[?feature not support",
        "the driver or this chip does not support a call of this CANN",
        DRIVER,
        "stage",
    ),
    message(
        r"(?i:halDeviceOpen failed|failed to open device|(?:acl )?(?:open|set) device \d+ failed|SetDevice failed|"
        r"device retain error|Start aicpu executor failed|no valid device|acl init failed)",
        "the device could not be started",
        DRIVER,
        "stage",
    ),
    message(
        r"\[-1\]\[ACL: general failure\]",
        "the device layer failed; the reason is in a line before it",
        "read the [ERROR] lines before it, and the newest $HOME/ascend/log/debug/plog/plog-*.log",
        "vague",
    ),
)
