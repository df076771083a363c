# Steps: prints what is being done and how long it took. Sourced by ./dev and by scripts in tools/.
# shellcheck shell=bash

# say TEXT: one line for the reader.
say() {
    printf '%s\n' "$*" >&2
}

# step TITLE COMMAND…: runs the command, shows its output only when it fails. On a terminal the
# seconds go by meanwhile. `set -e` does not reach into COMMAND: functions join their lines by &&.
step() {
    local title=$1 log started=$EPOCHREALTIME status=0 ticker=
    shift
    log=$(mktemp)
    printf -- '-- %s … ' "$title" >&2
    if [ -t 2 ]; then
        tick "$title" "$started" &
        ticker=$!
    fi
    "$@" >"$log" 2>&1 </dev/null || status=$?
    if [ -n "$ticker" ]; then
        kill "$ticker" 2>/dev/null || true
        wait "$ticker" 2>/dev/null || true
        printf '\r-- %s … ' "$title" >&2
    fi
    if [ "$status" -eq 0 ]; then
        printf '%s s\n' "$(seconds_since "$started")" >&2
    else
        printf 'failed after %s s\n' "$(seconds_since "$started")" >&2
        cat "$log" >&2
    fi
    rm -f "$log"
    return "$status"
}

tick() {
    while sleep 1; do
        printf '\r-- %s … %s s' "$1" "$(seconds_since "$2")" >&2
    done
}

# seconds_since START: with one decimal; START is an earlier $EPOCHREALTIME.
seconds_since() {
    local now=${EPOCHREALTIME/[.,]/} then=${1/[.,]/}
    local tenths=$(((now - then + 50000) / 100000))
    printf '%d.%d' $((tenths / 10)) $((tenths % 10))
}
