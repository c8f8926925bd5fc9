#!/usr/bin/env bash
# Builds the operator's image with BuildKit into the OCI archive $1 (dist/image.tar), writes bases.txt beside it and prints
# the image's digest.
#
# BUILDKIT_HOST names a BuildKit to use, such as docker-container://NAME; without it one is started for
# the time of the build, which needs Linux, root and runc. FRESH=1 takes nothing from a cache.
# PLATFORMS is a list such as linux/amd64,linux/arm64. BASES is "real", "stand-in" (stand-in.sh) or the
# bases.txt of an earlier build, to repeat that one; without it stand-ins are taken, with a warning, where
# the registries do not answer.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
source hack/image/stand-in.sh

say() { echo "image: $*" >&2; }

archive=${1:-dist/image.tar}
version=${VERSION:-$(git describe --tags --always --dirty)}
image=${IMAGE:-ghcr.io/defender-tenant/operator}:${version#v}
programs=$(hack/image/build.sh)
scratch=$(mktemp -d)
buildkitd=
trap 'finish' EXIT

finish() {
	if [[ -n $buildkitd ]]; then
		kill "$buildkitd" 2>/dev/null || true
		wait "$buildkitd" 2>/dev/null || true
	fi
	rm -rf "$scratch"
}

start_buildkit() {
	if [[ $(uname -s) != Linux || $(id -u) != 0 ]] || ! command -v runc >/dev/null; then
		say "starting BuildKit needs Linux, root and runc (in Debian: apt-get install runc)."
		say "Where there is Docker, do this instead: docker run -d --privileged --name buildkit moby/buildkit"
		say "and: BUILDKIT_HOST=docker-container://buildkit make image"
		exit 1
	fi
	local root=${XDG_CACHE_HOME:-$HOME/.cache}/defender-tenant-operator/buildkit
	if [[ -n ${FRESH:-} ]]; then
		root=$scratch/root
	fi
	mkdir -p "$root"
	export BUILDKIT_HOST=unix://$scratch/buildkitd.sock
	"$programs/buildkitd" --root "$root" --addr "$BUILDKIT_HOST" --oci-worker-net=host --containerd-worker=false \
		>"$scratch/buildkitd.log" 2>&1 &
	buildkitd=$!
	until "$programs/buildctl" debug workers >/dev/null 2>&1; do
		if ! kill -0 "$buildkitd" 2>/dev/null; then
			cat "$scratch/buildkitd.log" >&2
			say "BuildKit does not start, the reason is above"
			exit 1
		fi
		sleep 0.2
	done
}

# The image's bases, as the Dockerfile names them. The last is the one that the operator runs on.
bases() { grep ^FROM Dockerfile | grep -oE '[^ ]+:[^ ]+'; }

# digest prints what a base is by the file that BASES names, else by its registry.
digest() {
	if [[ -f ${BASES:-} ]]; then
		awk -v base="$1" '$1 == base { print $2 }' "$BASES" | grep ^sha256:
	else
		"$programs/crane" digest "$1" 2>"$scratch/crane.log"
	fi
}

# replace_bases names the bases by digest, or says which folders take their place, and writes down what it chose.
replace_bases() {
	local base digest
	for base in $(bases); do
		if [[ ${BASES:-} != stand-in ]] && digest=$(digest "$base"); then
			options+=(--opt "context:$base=docker-image://${base%:*}@$digest")
		elif [[ -z ${BASES:-} || $BASES == stand-in ]]; then
			digest=stand-in
			say "a STAND-IN takes the place of $base: good for a test, not for a release"
			stand_in "$base" "$scratch/$base"
			options+=(--opt "context:$base=local:$base" --local "$base=$scratch/$base")
		else
			say "no digest of $base is known"
			cat "$scratch/crane.log" >&2
			exit 1
		fi
		echo "$base $digest" >>"$scratch/bases.txt"
	done
	options+=(
		--opt "label:org.opencontainers.image.base.name=$base"
		--opt "label:org.opencontainers.image.base.digest=$digest"
	)
}

if [[ -z ${BUILDKIT_HOST:-} ]]; then
	start_buildkit
fi

# How this machine's Go reaches modules. A secret, since a proxy's address may hold a password.
for name in GOPROXY GOSUMDB GOPRIVATE GONOPROXY GONOSUMDB GOINSECURE; do
	echo "$name=$(go env "$name")"
done >"$scratch/goenv"

options=()
if [[ -n ${FRESH:-} ]]; then
	# A BuildKit that lives longer than the build remembers the one before: its steps, and what is in its cache mounts.
	options+=(--no-cache --opt "build-arg:BUILDKIT_CACHE_MOUNT_NS=$(basename "$scratch")")
fi
replace_bases
SOURCE_DATE_EPOCH=$(git log -1 --format=%ct)
"$programs/buildctl" build \
	--frontend dockerfile.v0 --local context=. --local dockerfile=. "${options[@]}" \
	--opt platform="${PLATFORMS:-linux/$(go env GOARCH)}" \
	--opt build-arg:VERSION="$version" \
	--opt build-arg:REVISION="$(git rev-parse HEAD)" \
	--opt build-arg:SOURCE_DATE_EPOCH="$SOURCE_DATE_EPOCH" \
	--secret id=goenv,src="$scratch/goenv" \
	--output "type=oci,dest=$scratch/image.tar,name=$image,rewrite-timestamp=true" \
	--metadata-file "$scratch/metadata.json" --progress=plain
digest=$(sed -n 's/.*"containerimage.digest": "\(sha256:[0-9a-f]*\)".*/\1/p' "$scratch/metadata.json")
mkdir -p "$(dirname "$archive")"
mv "$scratch/image.tar" "$archive"
mv "$scratch/bases.txt" "$(dirname "$archive")/bases.txt"
echo "$archive holds $image, $digest, $(wc -c <"$archive") bytes"
