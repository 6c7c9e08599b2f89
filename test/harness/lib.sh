# lib.sh: what `make test` and `make demo` share.  Sourced, never run.
#
# Both work in one temporary folder, $WORK, that belongs to the account the
# server runs under and that nobody else can enter:
#   src/   a copy of the source tree (the clone may be out of that account's reach)
#   pg/    a private copy of the PostgreSQL installation; memai is installed there
#   data/  the cluster; sock/ its Unix socket; tmp/ the tests' TMPDIR
# The system's installation, its clusters and the clone are only read.
# shellcheck shell=bash

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
WORK=
CHILD=
SERVER_OPTIONS=()		# further options of pg_ctl start

say() { printf '%s\n' "$@"; }
die() { printf 'memai: %s\n' "$*" >&2; exit 1; }

# The installation to use: $PG_CONFIG, or the first pg_config that comes with a
# server and PGXS and is 15 or later; 15 first, its output is what tests expect.
find_pg_config() {
	local candidate version candidates=("${PG_CONFIG:-}")
	[ -n "${PG_CONFIG:-}" ] || candidates=(
		/usr/lib/postgresql/{15,16,17,18}/bin/pg_config
		/usr/pgsql-{15,16,17,18}/bin/pg_config
		pg_config /usr/local/pgsql/bin/pg_config)
	for candidate in "${candidates[@]}"; do
		candidate=$(command -v "$candidate" 2>/dev/null) || continue
		[ -x "$("$candidate" --bindir 2>/dev/null)/postgres" ] || continue
		[ -f "$("$candidate" --pgxs 2>/dev/null)" ] || continue
		version=$("$candidate" --version | sed 's/^[^0-9]*\([0-9]*\).*/\1/')
		[ "${version:-0}" -ge 15 ] || continue
		printf '%s\n' "$candidate"
		return 0
	done
	return 1
}

# Runs a command as the account of the server: postgres for root, else ourselves.
as_server() {
	if [ "$(id -u)" = 0 ]; then
		setpriv --reuid=postgres --regid=postgres --init-groups "$@"
	else
		"$@"
	fi
}

# A background job of its own process group, so that an interrupt reaches this
# script at once and the whole group can be ended by its id.
run_group() {
	if [ "$(id -u)" = 0 ]; then
		setsid setpriv --reuid=postgres --regid=postgres --init-groups "$@" </dev/null &
	else
		setsid "$@" </dev/null &
	fi
	CHILD=$!
	local status=0
	wait "$CHILD" || status=$?
	CHILD=
	return "$status"
}

# Stops every server whose data directory lies in $WORK: ours, and those of
# tests that were interrupted.
stop_servers() {
	local pidfile
	find "$WORK" -name postmaster.pid 2>/dev/null | while read -r pidfile; do
		as_server "$PGBIN/pg_ctl" -D "$(dirname "$pidfile")" -m immediate -s stop >/dev/null 2>&1
	done
}

clean_up() {
	local status=$?
	trap '' INT TERM HUP
	trap - EXIT
	if [ -n "$CHILD" ]; then
		kill -TERM -- "-$CHILD" 2>/dev/null
		wait "$CHILD" 2>/dev/null
	fi
	if [ -n "$WORK" ] && [ -d "$WORK" ]; then
		stop_servers
		rm -rf "$WORK"
	fi
	exit "$status"
}

# A copy of the installation that finds its own files: the programs work out the
# rest from where they are (symbolic links resolved), so bin/ is copied and the
# directories that make install writes to are real; everything else is a link.
copy_installation() {
	local from=$1 bindir pkglibdir sharedir includedir
	bindir=$("$from" --bindir) pkglibdir=$("$from" --pkglibdir)
	sharedir=$("$from" --sharedir) includedir=$("$from" --includedir-server)

	mkdir -p "$WORK/pg$bindir" "$WORK/pg$pkglibdir" "$WORK/pg$sharedir/extension" \
		"$WORK/pg$(dirname "$includedir")"
	cp -L "$bindir"/* "$WORK/pg$bindir/"
	ln -s "$pkglibdir"/* "$WORK/pg$pkglibdir/"
	ln -s "$includedir" "$WORK/pg$includedir"
	find "$sharedir" -mindepth 1 -maxdepth 1 ! -name extension -exec ln -s -t "$WORK/pg$sharedir" {} +
	ln -s "$sharedir"/extension/* "$WORK/pg$sharedir/extension/"
	# an installed memai must not be written through a link
	rm -f "$WORK/pg$pkglibdir/memai.so" "$WORK/pg$sharedir"/extension/memai[.-]*
	PGBIN=$WORK/pg$bindir
	[ "$("$PGBIN/pg_config" --pkglibdir)" = "$WORK/pg$pkglibdir" ] ||
		die "the PostgreSQL installation of $from cannot be relocated"
}

copy_source() {
	mkdir "$WORK/src"
	tar -C "$ROOT" --exclude=.git --exclude='*.o' --exclude='*.so' --exclude='*.d' --exclude='*.bc' \
		--exclude='./src/sql/memai--*.sql' --exclude=./build --exclude=./results \
		--exclude=./tmp_check --exclude=./test/output_iso -cf - . | tar -C "$WORK/src" --no-same-owner -xf -
}

# Test data outside the repository, made readable for the server's account.
provide_data() {
	local data=${MEMAI_DATA:-$ROOT/../shared/data}
	MEMAI_DATA=
	[ -d "$data" ] || return 0
	data=$(cd "$data" && pwd)
	if ! as_server test -x "$data" || as_server find "$data" ! -readable 2>&1 | grep -q .; then
		cp -rL "$data" "$WORK/shared-data"
		data=$WORK/shared-data
	fi
	MEMAI_DATA=$data
}

# Prometheus and its checker for the tests of metrics, where apt has them: taken
# out of their package, because installing it would start a service.  Kept in
# build/; tests skip what needs them when this fails.
provide_prometheus() {
	local cache=$ROOT/build/prometheus package=$WORK/prometheus-package
	command -v promtool >/dev/null && command -v prometheus >/dev/null && return 0
	if [ ! -x "$cache/prometheus" ] && command -v apt-get >/dev/null; then
		mkdir -p "$package" "$cache"
		(cd "$package" && apt-get download -qq prometheus) >/dev/null 2>&1 &&
			dpkg-deb --fsys-tarfile "$package"/*.deb |
			tar -x -C "$cache" --strip-components=3 ./usr/bin/promtool ./usr/bin/prometheus 2>/dev/null
		rm -rf "$package"
		chown -R --reference="$ROOT" "$ROOT/build"
	fi
	[ -x "$cache/prometheus" ] || return 0
	mkdir "$WORK/prometheus" && cp "$cache"/prom* "$WORK/prometheus/"
	chmod -R a+rX "$WORK/prometheus"
	export PATH="$PATH:$WORK/prometheus"
}

# prepare NAME: packages, temporary folder, traps, copies.  Sets WORK and PGBIN.
prepare() {
	local config base=${TMPDIR:-/tmp} variable
	unset MAKEFLAGS MFLAGS MAKELEVEL MAKEOVERRIDES
	bash "$ROOT/test/harness/packages.sh" || exit 1
	config=$(find_pg_config) || die "no PostgreSQL 15 or later with its development files found; set PG_CONFIG"

	# socket paths are limited to 107 bytes
	[ "${#base}" -le 30 ] && as_server test -w "$base" || base=/tmp
	trap clean_up EXIT
	trap 'exit 130' INT
	trap 'exit 143' TERM
	trap 'exit 129' HUP
	WORK=$(mktemp -d "$base/$1.XXXXXX")
	mkdir "$WORK/tmp" "$WORK/sock" "$WORK/home"
	copy_installation "$config"
	copy_source
	if [ "$(id -u)" = 0 ]; then
		chown -hR postgres: "$WORK"
	fi
	provide_data

	for variable in ${!PG*}; do
		[ "$variable" = PGBIN ] || unset "$variable"
	done
	export WORK PGBIN MEMAI_DATA
	# LANG too: the TAP modules drop LC_ALL
	export PATH="$PGBIN:$PATH" HOME="$WORK/home" TMPDIR="$WORK/tmp" LC_ALL=C.UTF-8 LANG=C.UTF-8
	cd "$WORK/src" || exit 1
}

# build [VARIABLE=VALUE...]: builds and installs into the private installation;
# quiet unless it fails.
build() {
	say "building memai for $("$PGBIN/pg_config" --version)"
	if ! run_group make -s -j"$(nproc)" PG_CONFIG="$PGBIN/pg_config" "$@" install >"$WORK/build.log" 2>&1; then
		cat "$WORK/build.log" >&2
		return 1
	fi
}

# A cluster that only its own Unix socket leads to.  Its port is free at this
# moment, so that listen_addresses can be switched on by hand.
start_cluster() {
	PGHOST=$WORK/sock PGUSER=postgres PGDATABASE=postgres
	PGPORT=$(perl -MIO::Socket::INET -e \
		'print IO::Socket::INET->new(Listen => 1, LocalAddr => "127.0.0.1")->sockport')
	export PGHOST PGPORT PGUSER PGDATABASE
	as_server "$PGBIN/initdb" -D "$WORK/data" -U postgres -A trust -E UTF8 --locale=C.UTF-8 --no-sync \
		>"$WORK/initdb.log" 2>&1 || { cat "$WORK/initdb.log" >&2; die "initdb failed"; }
	as_server tee -a "$WORK/data/postgresql.conf" >/dev/null <<-CONF
		listen_addresses = ''
		unix_socket_directories = '$WORK/sock'
		port = $PGPORT
		max_connections = 40
		shared_buffers = 128MB
		fsync = off
		log_line_prefix = '%m [%p] %q%a '
		timezone = 'UTC'
	CONF
	as_server "$PGBIN/pg_ctl" -D "$WORK/data" -l "$WORK/server.log" -w -s "${SERVER_OPTIONS[@]}" start ||
		{ cat "$WORK/server.log" >&2; die "the cluster did not start"; }
}
