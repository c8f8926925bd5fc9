# Sourced by image.sh: folders that stand for the Dockerfile's base images where no registry answers.
# They have what the Dockerfile uses of those and nothing else, so a build with them checks the
# Dockerfile, the operator and what surrounds it, but not the real bases.
# shellcheck shell=bash

certificates=/etc/ssl/certs/ca-certificates.crt

# stand_in IMAGE DIR makes the folder DIR.
stand_in() {
	case $1 in
	golang:*) golang "$2" "${1#golang:}" ;;
	gcr.io/distroless/static:nonroot) distroless "$2" ;;
	*) say "there is no stand-in for $1" && exit 1 ;;
	esac
}

# golang is this machine's Go with a shell to start it.
golang() {
	local dir=$1 version=$2 file
	if [[ $(go env GOVERSION) != "go$version" ]]; then
		say "the stand-in for golang:$version needs Go $version, this is $(go env GOVERSION)"
		exit 1
	fi
	mkdir -p "$dir"/{tmp,root,bin,usr/local/bin,etc/ssl/certs}
	cp -a "$(go env GOROOT)" "$dir/usr/local/go"
	chmod -R u+w "$dir/usr/local/go" # or it could not be deleted
	ln -s ../go/bin/go "$dir/usr/local/bin/go"
	for file in $(with_libraries /bin/sh "$(go env GOROOT)/bin/go"); do
		mkdir -p "$dir/$(dirname "$file")"
		cp -L "$file" "$dir/$file"
	done
	cp -L "$certificates" "$dir/$certificates"
	echo 'root:x:0:0:root:/root:/bin/sh' >"$dir/etc/passwd"
}

# with_libraries names those programs and the shared libraries they load; a static one loads none.
with_libraries() {
	echo /bin/sh
	for program in "$@"; do
		ldd "$program" 2>/dev/null | grep -oE '/[^ ]+' || true
	done | sort -u
}

# distroless has certificates and the user that the operator runs as.
distroless() {
	local dir=$1
	mkdir -p "$dir"/{tmp,etc/ssl/certs,home/nonroot}
	chmod 1777 "$dir/tmp"
	cp -L "$certificates" "$dir/$certificates"
	printf '%s\n' root:x:0:0:root:/root:/sbin/nologin nonroot:x:65532:65532:nonroot:/home/nonroot:/sbin/nologin >"$dir/etc/passwd"
	printf '%s\n' root:x:0: nonroot:x:65532: >"$dir/etc/group"
	# Files made now are newer than the commit and get its time; these copies could be older.
	find "$dir" -exec touch {} +
}
