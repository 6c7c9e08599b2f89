#!/usr/bin/env bash
#
# packages.sh: installs what memai's build and tests need and this machine lacks.
#
# Nothing is asked of the package manager when everything is there.  With apt
# the missing Debian packages are installed, quietly, as root or through sudo;
# elsewhere a message lists what to install.  The main cluster that Debian
# creates with a newly installed server is suppressed: nobody asked for it.
set -u
# shellcheck source=test/harness/lib.sh
. "$(dirname "$0")/lib.sh"

# postgresql-NN of the distribution, e.g. 15
server_version() {
	apt-cache show postgresql 2>/dev/null | sed -n 's/^Version: \([0-9]*\).*/\1/p' | head -n 1
}

# clang's run-time library for fuzzing, of the clang that the server packages use
fuzzer_package() {
	apt-cache depends "postgresql-server-dev-$1" 2>/dev/null |
		sed -n 's/^ *Depends: clang-\([0-9]*\)$/libclang-rt-\1-dev/p' | head -n 1
}

can_fuzz() {
	local program status=1
	program=$(mktemp) || return 1
	for clang in "${CLANG:-clang}" /usr/bin/clang-[0-9]*; do
		echo 'int LLVMFuzzerTestOneInput(const char *d, long n) { (void) d; (void) n; return 0; }' |
			"$clang" -x c -fsanitize=fuzzer,address,undefined -o "$program" - 2>/dev/null && status=0 && break
	done
	rm -f "$program"
	return "$status"
}

# Prints one line for each thing that is missing: what it is, a tab, its Debian
# packages (@ stands for the server version).
missing() {
	local library
	command -v cc >/dev/null || printf 'a C compiler\tgcc libc6-dev\n'
	find_pg_config >/dev/null ||
		printf 'PostgreSQL 15 or later: server and development files (PGXS)\tpostgresql-@ postgresql-server-dev-@\n'
	if command -v pkg-config >/dev/null; then
		pkg-config --exists libcurl || printf 'libcurl development files\tlibcurl4-openssl-dev\n'
		pkg-config --exists json-c || printf 'json-c development files\tlibjson-c-dev\n'
	else
		printf 'pkg-config, libcurl and json-c development files\tpkg-config libcurl4-openssl-dev libjson-c-dev\n'
	fi
	[ ! -e /etc/debian_version ] || [ -e /etc/ssl/certs/ca-certificates.crt ] ||
		printf 'certificate authorities for TLS\tca-certificates\n'
	command -v python3 >/dev/null || printf 'Python 3\tpython3\n'
	for library in TAP::Harness IPC::Run; do
		perl -M$library -e 1 2>/dev/null || case $library in
			TAP::Harness) printf 'Perl and its module TAP::Harness\tperl\n' ;;
			IPC::Run) printf 'Perl module IPC::Run\tlibipc-run-perl\n' ;;
		esac
	done
}

# as root
install_packages() {
	local packages
	export DEBIAN_FRONTEND=noninteractive

	exec 9>/run/lock/memai-packages.lock && flock 9
	[ -n "$(server_version)" ] && [ -n "$(apt-cache search --names-only '^libipc-run-perl$')" ] ||
		apt-get update -qq || return 1
	# another run may have installed everything while this one waited
	packages=$(missing | cut -f 2 | sed "s/@/$(server_version)/g")
	can_fuzz || packages="$packages $(fuzzer_package "$(server_version)")"
	packages=$(printf '%s' "$packages" | tr '\n' ' ')
	[ -n "${packages// /}" ] || return 0

	say "installing: $packages"
	mkdir -p "${DROP_IN%/*}"
	echo 'create_main_cluster = false' >"$DROP_IN"
	# the lists may be stale: refresh them once before giving up
	# shellcheck disable=SC2086
	apt_install $packages || { apt-get update -qq && apt_install $packages; }
}

apt_install() {
	apt-get install -y -qq --no-install-recommends -o DPkg::Lock::Timeout=600 -o Dpkg::Use-Pty=0 \
		-o Dpkg::Options::=--force-confold "$@" >"$LOG" 2>&1 </dev/null || { tail -n 20 "$LOG" >&2; return 1; }
}

if [ -n "${PG_CONFIG:-}" ] && ! find_pg_config >/dev/null; then
	die "$PG_CONFIG is no pg_config of PostgreSQL 15 or later that comes with a server and PGXS"
fi
wanted=$(missing)
[ -n "$wanted" ] || exit 0

if ! command -v apt-get >/dev/null; then
	say "memai's tests need the following, and apt is not the package manager here." >&2
	say "Install it with the system's own, then run this again:" >&2
	cut -f 1 <<<"$wanted" | sed 's/^/  - /' >&2
	exit 1
fi
if [ "$(id -u)" != 0 ]; then
	command -v sudo >/dev/null || die "needs root or sudo to install: $(cut -f 2 <<<"$wanted" | tr '\n' ' ' | sed 's/@/15/g')"
	exec sudo env PG_CONFIG="${PG_CONFIG:-}" bash "$0"
fi

LOG=$(mktemp)
DROP_IN=/etc/postgresql-common/createcluster.d/memai-test.conf
trap 'rm -f "$LOG" "$DROP_IN"' EXIT
trap 'exit 130' INT TERM HUP
install_packages || die "could not install the missing packages"
wanted=$(missing)
[ -z "$wanted" ] || die "still missing: $(cut -f 1 <<<"$wanted" | tr '\n' ' ')"
