#!/usr/bin/env bash
# The first run: `make demo`.  Builds configs/demo, runs it with a published port, looks inside,
# kills a service, stops the container, and leaves nothing behind.
#
# Needs root and `runtime` in PATH.  PORT is the machine's port (8080).  Ends with 0 when every
# step did what its line says, with 1 and the reason when one did not.
set -euo pipefail
cd "$(dirname "$0")"

PORT=${PORT:-8080}
NAME=supervise-demo-$$
IMAGE=supervise-demo

if [ -t 1 ]; then bold=$'\e[1m' dim=$'\e[2m' plain=$'\e[0m'; else bold='' dim='' plain=''; fi

say() { printf '\n%s# %s%s\n' "${dim}" "$*" "${plain}"; }
show() { # prints a command as one would type it, and runs it
  printf '%s$ %s%s\n' "${bold}" "$*" "${plain}"
  "$@"
}
die() { printf 'demo: %s\n' "$*" >&2; exit 1; }
fetch() { # curl may not be there; Python is
  python3 -c '
import sys, urllib.error, urllib.request
try:
    print(urllib.request.urlopen(sys.argv[1], timeout=5).read().decode(), end="")
except (OSError, urllib.error.URLError) as error:
    sys.exit(f"demo: {sys.argv[1]}: {error}")' "$1"
}

clean() {
  runtime rm --force "${NAME}" >/dev/null 2>&1 || :
  runtime rmi --force "${IMAGE}" >/dev/null 2>&1 || :
}
trap clean EXIT

say 'An image from a Dockerfile, without a daemon and without a registry.'
show runtime build --quiet --tag "${IMAGE}" .
show runtime images "${IMAGE}"

say 'A container with its port published; PID 1 in it is supervise.'
show runtime run --detach --name "${NAME}" --publish "${PORT}:8080" "${IMAGE}"

say 'Wait until the web server is ready: a fact, not a sleep.'
show runtime exec "${NAME}" supervisectl wait web worker --for ready --timeout 15s

say 'What runs inside: migrate is done, worker waited for web, flaky is restarted with backoff.'
show runtime exec "${NAME}" supervisectl status

say 'The page, from this machine.'
printf '%s$ curl http://127.0.0.1:%s/%s\n' "${bold}" "${PORT}" "${plain}"
fetch "http://127.0.0.1:${PORT}/" | grep 'one of four services' || die 'the page is not served'

say 'Kill the web server: supervise starts it again at once.'
show runtime exec "${NAME}" supervisectl signal KILL web
show runtime exec "${NAME}" supervisectl wait web --for ready --timeout 15s
show runtime exec "${NAME}" supervisectl status web
fetch "http://127.0.0.1:${PORT}/jobs.txt" | grep 'job' | head -n 1 || die 'web did not come back'

say 'Why is flaky not up?'
show runtime exec "${NAME}" supervisectl explain flaky

say 'Every line of every service, with its name.'
show runtime logs --tail 8 "${NAME}"

say 'Stop: every service is told, in reverse order, and has its time.'
show runtime stop "${NAME}"
show runtime logs --tail 5 "${NAME}"
code=$(runtime inspect --format '{{.State.ExitCode}}' "${NAME}")
printf 'exit code %s\n' "${code}"
[ "${code}" = 0 ] || die "the container ended with ${code}, not with 0"

say 'And nothing is left.'
show runtime rm "${NAME}"
show runtime rmi "${IMAGE}"
[ -z "$(runtime ps --all --quiet --filter "name=${NAME}")" ] || die 'a container is left'
printf '\nNext: docs/tutorial.md; the services are in configs/demo/supervise.yaml\n'
