"""The script that builds an OM on a host with CANN: what `convert` does with atc there, in shell."""

import shlex
from collections.abc import Sequence
from pathlib import Path

from convert.atc.run import ATC_HINT, NO_PRODUCT_STEP, NO_SUCCESS_STEP, SIGNALS, SUCCESS
from detector.files.atomic import hidden_name
from detector.files.lock import lock_path
from detector.tools import PATIENCE

# Of the folder in which one process builds; its number follows.
BUILDING = ".building."
# atc is first of a group of its own, which a second process ends: on a word, after a while, or when nobody holds the
# other end of the pipe, because the script is dead. `atc` is a script that starts the real one: no signal to it alone
# would do.
GUARDED = f"""\
( (trap '' TERM; if read -r _ <&7; then kill -s TERM 0; sleep {PATIENCE}; fi; kill -s KILL 0) & )
exec "$@" 7<&-
"""


def building_folder(output: Path, process: int) -> Path:
    """Where a process builds a product: nobody else writes there, not even an atc that outlives its caller."""
    return output.with_name(f"{hidden_name(output.name)}{BUILDING}{process}")


def atc_script(command: Sequence[str], output: Path, graph_sha256: str) -> str:
    """A script that runs the command in its own folder on a host with CANN, and checks the product as `run_atc` does.

    Args:
        command: of `atc_command`, with file names relative to the script.
        output: the product without suffix, relative to the script.
        graph_sha256: hex SHA-256 of the graph that the command names; no other is built.
    """
    om, log = f"{output}.om", f"{output}.atc.log"
    aside = f"{hidden_name(output.name)}{BUILDING}"
    lock = lock_path(output).name
    graph = shlex.quote(next(word.removeprefix("--model=") for word in command if word.startswith("--model=")))
    words = " ".join(
        f'"--output=$aside/{output.name}"' if word.startswith("--output=") else shlex.quote(word) for word in command
    )
    return f"""#!/bin/sh
# Builds {om} on a host with CANN (no NPU needed); copy it there together with the .atc.onnx beside it.
fail() {{
    echo "error: $1" >&2
    exit "${{2:-1}}"
}}
cd "$(dirname "$0")" || exit 1
command -v atc >/dev/null || fail "atc not found; {ATC_HINT}" 5
[ -w . ] || fail "cannot write in $(pwd): copy the script and the .atc.onnx to a folder of your own"
[ -f {graph} ] || fail "{graph} not found; copy it from where this script was made"
[ "$(sha256sum <{graph} | cut -c 1-64)" = {graph_sha256} ] ||
    fail "{graph} is not the graph that this script was made for; copy both again from where they were made"
if [ -e {om}.json ] && ! grep -q {graph_sha256} {om}.json; then
    fail "{om}.json does not describe {graph}; copy both again from where they were made"
fi

# One build at a time, by the lock that `python -m convert` takes too; it is free when its process is dead.
locked=
for attempt in 1 2 3 4 5 6 7 8 9; do
    command -v flock >/dev/null || break
    exec 9>>{lock}
    flock -n 9
    case $? in
    0) locked=yes ;;
    1)
        holder=$(tr -d '{{}}\\"' <{lock})
        fail "{output} is in use: ${{holder:-by another process}}; wait for it to end"
        ;;
    *) break ;;
    esac
    [ {lock} -ef /proc/self/fd/9 ] && break # its last holder may have removed the name meanwhile
done
if [ -n "$locked" ]; then
    printf '{{"doing": "building", "pid": %d, "host": "%s", "since": "%s"}}' \\
        $$ "$(uname -n)" "$(date '+%Y-%m-%d %H:%M:%S')" >{lock}
else
    echo "warning: flock (util-linux) does not work here; that nothing else builds {om} is not checked" >&2
fi

# Built in a folder of this run: until it is whole, nothing is called {om}.
aside={aside}$$
for stale in {aside}*; do
    process=${{stale#{aside}}}
    case $process in *[!0-9]*) continue ;; esac
    if [ -n "$locked" ] || [ "$process" = $$ ] || [ ! -d "/proc/$process" ]; then rm -rf "$stale"; fi
done
rm -rf {om} {om}.sha256 {output}_linux_*.om
mkdir "$aside" || exit 1
trap 'rm -rf "$aside" ${{locked:+{lock}}}' EXIT
end() {{
    trap '' INT TERM HUP
    if [ -n "$group" ]; then echo end >&8; else kill $! 2>/dev/null; fi
    wait
    exit "$1"
}}
trap 'end 130' INT
trap 'end 143' TERM
trap 'end 129' HUP

set -- {words}
group=
alive=/dev/null
if command -v setsid >/dev/null && mkfifo "$aside/alive" 2>/dev/null; then
    alive=$aside/alive
    exec 8<>"$alive"
    group=yes
    set -- setsid sh -c {shlex.quote(GUARDED)} sh "$@"
else
    echo "warning: no setsid (util-linux) or no pipe here: an atc whose script is killed by SIGKILL goes on" >&2
fi
echo "atc builds {om}, which takes minutes; what it says goes to {log}"
# The pipe's end for reading is opened while its other one is still open here too, so that this never waits.
"$@" </dev/null >{log} 2>&1 7<"$alive" 8>&- 9>&- &
wait $!
code=$?
cat {log}

# CANN releases that compile host code append the platform to the name.
for made in "$aside"/{output.name}_linux_*.om; do
    if [ -e "$made" ]; then mv "$made" "$aside/{om}"; fi
done
explain="whole log in {log}; what codes in it mean: python -m convert explain {log}"
case $code in
0) ;;
{_signal_cases()}
*) fail "atc exited with $code; $explain" ;;
esac
grep -q "{SUCCESS}" {log} || fail "atc exited with 0 but never said '{SUCCESS}'; {_plain(NO_SUCCESS_STEP)}; $explain"
[ -e "$aside/{om}" ] || fail "atc reported success but left no {om}; {_plain(NO_PRODUCT_STEP)}; $explain"
[ -s "$aside/{om}" ] || fail "atc reported success but left an empty {om}; {_plain(NO_PRODUCT_STEP)}; $explain"
(cd "$aside" && sha256sum {om} >{om}.sha256 && printf '%s  %s\n' {graph_sha256} {graph} >>{om}.sha256) || exit 1
sync
mv -f "$aside/{om}.sha256" {om}.sha256 && mv -f "$aside/{om}" {om} || exit 1
sync
echo "{om} is ready; copy {om}.sha256 along with it"
"""


def _signal_cases() -> str:
    """The cases of the script for signals, as a shell tells them: 128 more."""
    codes: dict[tuple[str, str], list[str]] = {}
    for number, told in SIGNALS.items():
        codes.setdefault(told, []).append(f"{128 + number}")
    return "\n".join(
        f'{" | ".join(numbers)}) fail "atc ended by signal $((code - 128)): {_plain("; ".join(told))}; $explain" ;;'
        for told, numbers in codes.items()
    )


def _plain(text: str) -> str:
    """Text for double quotes of a shell, which obeys backticks there."""
    return text.replace("`", "'")
