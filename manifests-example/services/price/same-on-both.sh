#!/bin/sh
# A gate: both clouds must quote the same price. Their addresses are given by the rollout, one variable for each function.
set -eu

# The body of an answer, by whichever program this machine has.
fetch() {
    if command -v curl >/dev/null; then
        curl --silent --show-error --fail --max-time 10 "$1"
    elif command -v wget >/dev/null; then
        wget -q -T 10 -O - "$1"
    elif command -v bash >/dev/null; then
        bash -c '
            rest=${1#http://}
            host=${rest%%/*}
            exec 3<>"/dev/tcp/${host%:*}/${host##*:}"
            printf "GET /%s HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n" "${rest#*/}" "$host" >&3
            while IFS= read -r line <&3 && [ "$line" != "$(printf "\r")" ]; do :; done
            cat <&3
        ' fetch "$1"
    else
        echo "this gate needs curl, wget or bash" >&2
        return 1
    fi
}

quote() {
    answer=$(fetch "${1%/}/price/42")
    # Only what the two must agree on.
    printf '%s' "$answer" | grep -o '"cents":[0-9]*'
}

aws=$(quote "${VERDIGRIS_GREEN_AWS_QUOTE:-$VERDIGRIS_GREEN_AWS}")
azure=$(quote "${VERDIGRIS_GREEN_AZURE_QUOTE:-$VERDIGRIS_GREEN_AZURE}")
echo "aws says $aws, azure says $azure"
[ "$aws" = "$azure" ]
