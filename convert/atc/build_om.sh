#!/bin/sh
# Builds @OM@ on a host with CANN (no NPU needed); copy it there together with the .atc.onnx beside it.
fail() {
    echo "error: $1" >&2
    exit "${2:-1}"
}
cd "$(dirname "$0")" || exit 1
command -v atc >/dev/null || fail "atc not found; @ATC_HINT@" 5
[ -w . ] || fail "cannot write in $(pwd): copy the script and the .atc.onnx to a folder of your own"
[ -f @GRAPH@ ] || fail "@GRAPH@ not found; copy it from where this script was made"
[ "$(sha256sum <@GRAPH@ | cut -c 1-64)" = @SHA256@ ] ||
    fail "@GRAPH@ is not the graph that this script was made for; copy both again from where they were made"
if [ -e @OM@.json ] && ! grep -q @SHA256@ @OM@.json; then
    fail "@OM@.json does not describe @GRAPH@; copy both again from where they were made"
fi

# One build at a time, by the lock that `python -m convert` takes too; it is free when its process is dead.
locked=
for attempt in 1 2 3 4 5 6 7 8 9; do
    command -v flock >/dev/null || break
    exec 9>>@LOCK@
    flock -n 9
    case $? in
    0) locked=yes ;;
    1)
        holder=$(tr -d '{}\"' <@LOCK@)
        fail "@OUTPUT@ is in use: ${holder:-by another process}; wait for it to end"
        ;;
    *) break ;;
    esac
    [ @LOCK@ -ef /proc/self/fd/9 ] && break # its last holder may have removed the name meanwhile
done
if [ -n "$locked" ]; then
    printf '{"doing": "building", "pid": %d, "host": "%s", "since": "%s"}' \
        $$ "$(uname -n)" "$(date '+%Y-%m-%d %H:%M:%S')" >@LOCK@
else
    echo "warning: flock (util-linux) does not work here; that nothing else builds @OM@ is not checked" >&2
fi

# Built in a folder of this run: until it is whole, nothing is called @OM@.
aside=@ASIDE@$$
for stale in @ASIDE@*; do
    process=${stale#@ASIDE@}
    case $process in *[!0-9]*) continue ;; esac
    if [ -n "$locked" ] || [ "$process" = $$ ] || [ ! -d "/proc/$process" ]; then rm -rf "$stale"; fi
done
rm -rf @OM@ @OM@.sha256 @OUTPUT@_linux_*.om
mkdir "$aside" || exit 1
trap 'rm -rf "$aside" ${locked:+@LOCK@}' EXIT
end() {
    trap '' INT TERM HUP
    if [ -n "$group" ]; then echo end >&8; else kill $! 2>/dev/null; fi
    wait
    exit "$1"
}
trap 'end 130' INT
trap 'end 143' TERM
trap 'end 129' HUP

set -- @WORDS@
group=
alive=/dev/null
if command -v setsid >/dev/null && mkfifo "$aside/alive" 2>/dev/null; then
    alive=$aside/alive
    exec 8<>"$alive"
    group=yes
    set -- setsid sh -c @GUARDED@ sh "$@"
else
    echo "warning: no setsid (util-linux) or no pipe here: an atc whose script is killed by SIGKILL goes on" >&2
fi
echo "atc builds @OM@, which takes minutes; what it says goes to @LOG@"
# The pipe's end for reading is opened while its other one is still open here too, so that this never waits.
"$@" </dev/null >@LOG@ 2>&1 7<"$alive" 8>&- 9>&- &
wait $!
code=$?
cat @LOG@

# CANN releases that compile host code append the platform to the name.
for made in "$aside"/@NAME@_linux_*.om; do
    if [ -e "$made" ]; then mv "$made" "$aside/@OM@"; fi
done
explain="whole log in @LOG@; what codes in it mean: python -m convert explain @LOG@"
case $code in
0) ;;
@SIGNAL_CASES@
*) fail "atc exited with $code; $explain" ;;
esac
grep -q "@SUCCESS@" @LOG@ || fail "atc exited with 0 but never said '@SUCCESS@'; @NO_SUCCESS_STEP@; $explain"
[ -e "$aside/@OM@" ] || fail "atc reported success but left no @OM@; @NO_PRODUCT_STEP@; $explain"
[ -s "$aside/@OM@" ] || fail "atc reported success but left an empty @OM@; @NO_PRODUCT_STEP@; $explain"
(cd "$aside" && sha256sum @OM@ >@OM@.sha256 && printf '%s  %s
' @SHA256@ @GRAPH@ >>@OM@.sha256) || exit 1
sync
mv -f "$aside/@OM@.sha256" @OM@.sha256 && mv -f "$aside/@OM@" @OM@ || exit 1
sync
echo "@OM@ is ready; copy @OM@.sha256 along with it"
