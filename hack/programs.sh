# Sourced by the build.sh of the modules beside it: builds programs of pinned modules once, into a cache.
# shellcheck shell=bash
export GOWORK=off

cache=${XDG_CACHE_HOME:-$HOME/.cache}/defender-tenant-operator

say() { echo "build: $*" >&2; }

# fingerprint FILE... covers what decides how programs turn out: those files, this script, the compiler.
fingerprint() {
	{
		cat ../programs.sh "$@"
		go env GOVERSION GOOS GOARCH CGO_ENABLED
	} | git hash-object --stdin | cut -c1-10
}

# provide DIR LDFLAGS NAME=PACKAGE... builds what DIR does not hold. Two callers do not build twice.
provide() {
	local dir=$1 ldflags=$2 program missing=()
	shift 2
	for program in "$@"; do [[ -x $dir/${program%%=*} ]] || missing+=("$program"); done
	if ((${#missing[@]} == 0)); then return; fi
	mkdir -p "$dir"
	if command -v flock >/dev/null; then
		exec 9>"$dir/.lock"
		flock -n 9 || { say "waiting for another build to end" && flock 9; }
	fi
	for program in "${missing[@]}"; do
		[[ -x $dir/${program%%=*} ]] || build "$dir" "$ldflags" "${program%%=*}" "${program#*=}"
	done
	exec 9>&-
}

build() {
	local dir=$1 ldflags=$2 name=$3 package=$4 started=$SECONDS
	say "$name goes to $dir"
	if ! go build -v -ldflags "$ldflags" -o "$dir/.$name" "$package" 2>&1 | progress "$name" >"$dir/$name.log"; then
		cat "$dir/$name.log" >&2
		say "$name does not build, the reason is above"
		exit 1
	fi
	rm "$dir/$name.log"
	mv "$dir/.$name" "$dir/$name"
	say "$name is ready after $((SECONDS - started)) s"
}

# progress reads what `go build -v` says, a line per package, tells every ten seconds how far it is and
# passes on what is neither a package nor a download: errors.
progress() {
	local name=$1 line modules=0 packages=0 started=$SECONDS next=$((SECONDS + 10))
	while :; do
		if read -r -t 1 line; then
			case $line in
			'go: downloading '*) modules=$((modules + 1)) ;;
			*' '*) echo "$line" ;;
			*) packages=$((packages + 1)) ;;
			esac
		elif (($? <= 128)); then
			break # the end of the output; above 128 there was none for a second
		fi
		if ((SECONDS >= next)); then
			say "$name: $modules modules downloaded, $packages packages compiled in $((SECONDS - started)) s"
			next=$((next + 10))
		fi
	done
}
