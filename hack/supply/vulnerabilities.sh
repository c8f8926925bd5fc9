#!/usr/bin/env bash
# Looks for known vulnerabilities that the code can reach, in the packages given (all without them).
# GOVULNDB names the database: https://vuln.go.dev without it, or file:///folder for a copy. A database that
# cannot be read is a failure: nothing was checked.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

database=${GOVULNDB:-https://vuln.go.dev}
status=0
"$(hack/supply/build.sh govulncheck)" -db "$database" "${@:-./...}" || status=$?
case $status in
0) ;;
3) echo "vulnerabilities: the code can reach what is named above; update the modules or the compiler" >&2 ;;
*)
	echo "vulnerabilities: NOTHING WAS CHECKED, the reason is above. If it is the database $database," >&2
	echo "set GOVULNDB to one that can be reached, such as file:///folder with a copy of it." >&2
	;;
esac
exit "$status"
