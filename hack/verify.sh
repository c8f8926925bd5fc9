#!/usr/bin/env bash
# Fails if a step that writes files changes one, or if the linters find something. It compares the work
# tree with itself before the steps, so work that is not committed is no obstacle.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

# snapshot stores the work tree as a tree object, beside the real index, and prints its name.
snapshot() {
	local scratch
	scratch=$(mktemp -d)
	GIT_INDEX_FILE=$scratch/index git add --all
	GIT_INDEX_FILE=$scratch/index git write-tree
	rm -r "$scratch"
}

before=$(snapshot)
make generate tidy fmt
after=$(snapshot)
if [[ $before != "$after" ]]; then
	echo "These files were not as \`make generate tidy fmt\` writes them. They are now; look at them and commit:" >&2
	git diff --stat "$before" "$after" >&2
	exit 1
fi
make lint
