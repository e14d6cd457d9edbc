#!/bin/sh
# run.sh: build Ultron if need be, wire its stages into one pipeline and keep
# them alive. `./run.sh --help` says how to call it; the stages stand once, in
# order, in run_pipeline.
set -u

# What is closed would be taken by the next file that is opened.
[ -e /proc/self/fd/0 ] || exec </dev/null
[ -e /proc/self/fd/1 ] || exec >/dev/null
[ -e /proc/self/fd/2 ] || exec 2>/dev/null

here=$(dirname -- "$(readlink -f -- "$0")")

BUILD_PACKAGES='gcc make libc6-dev libcurl4-openssl-dev
	libcjson-dev libwebsockets-dev libpcre2-dev libvectorscan-dev
	libarchive-dev libssl-dev libsqlite3-dev libjs-bootstrap5'
FAKE_SLACK_PACKAGES='python3 python3-aiohttp openssl'
TEST_PACKAGES="$FAKE_SLACK_PACKAGES libcmocka-dev libasan8 libubsan1
	python3-pytest python3-pytest-xdist python3-selenium chromium
	chromium-driver mandoc shellcheck
	jq zip curl prometheus"

# What ultron.conf may hold; the environment may hold the same.
SECRETS='SLACK_APP_TOKEN SLACK_BOT_TOKEN SLACK_BOT_ULTRON BASIC_AUTH_PASSWORD
	GIPHY_API_KEY SECRET_WEAPON'
SETTINGS='SLACK_API_URL SLACK_CA_FILE SLACK_CHANNEL_LIST ULTRONEX_BOT_ID
	IRONMAN_USER_ID BASIC_AUTH_USERNAME BASIC_AUTH_REALM HTTP_SCHEME
	TLS_CERTIFICATE TLS_KEY CONNECTIONS_PER_ADDRESS ENVIRONMENT ENV LISTEN
	STATE SPOOL PATTERNS CLASSES BIN STAGE_HANG DEAD_LETTERS DASHBOARD_URL
	DIGEST_AFTER ULTRON_ALLOW_BROADCAST QUOTES GIPHY_API_URL'

EX_USAGE=64
EX_NOINPUT=66
EX_UNAVAILABLE=69
EX_NOPERM=77
EX_CONFIG=78
DESCRIPTORS_LEAST=64

usage() {
	cat <<-'END'
	usage: run.sh [--demo | --demo=live | --replay FILE|DIR|- | --status] [--check]
	              [--speed max|FACTOR] [--config FILE] [--state DIR]
	              [--spool DIR] [--listen ADDR:PORT] [--offline] [--stay]

	Run Ultron's pipeline on Slack, with the tokens of ultron.conf (README.md
	says how to get them), or on what is asked for. Finished records go to
	standard output; those of Slack and the demos not to a terminal.

	  --demo              play a recorded day in a loop, in time-lapse
	  --demo=live         follow a made-up Slack that runs on this machine
	  --replay FILE|DIR|- recorded Slack JSON in any form, an export folder,
	                      or standard input
	  --speed max|FACTOR  rhythm, 1 is as recorded (default: 1, demo: 240)
	  --status            show what runs: stage, pid, since, restarts and the
	                      lines that wait for an answer
	  --check             report all errors of the configuration, do nothing
	  --config FILE       default: ultron.conf beside run.sh, if it is there
	  --state DIR         default: state beside run.sh, and in it replay,
	                      demo or demo-live for what is not Slack
	  --spool DIR         downloaded files, default: spool in the state folder
	  --listen ADDR:PORT  of the dashboard, default: 127.0.0.1:8080
	  --offline           take files from the spool only, never download
	  --stay              keep the dashboard up after the end of a replay

	example: ./run.sh --replay day.ndjson --speed max | jq -r .class | sort | uniq -c
	manual:  man man/ultron.7
	END
}

say() {
	printf 'run.sh: %s\n' "$*" >&2
}

fail() { # STATUS WORDS...
	status=$1
	shift
	say "$@"
	exit "$status"
}

wrong_use() {
	say "$@"
	usage | sed -n '1,3p' >&2
	exit "$EX_USAGE"
}

# --- what is needed ---------------------------------------------------------

is_installed() {
	dpkg-query -W -f='${Status}' "$1" 2>/dev/null | grep -q ' installed$'
}

# Install those of the packages that are missing, saying so.
install_packages() {
	command -v dpkg-query >/dev/null 2>&1 || return 0
	missing=
	for package in "$@"; do
		is_installed "$package" || missing="$missing $package"
	done
	[ -n "$missing" ] || return 0

	say "installing with apt-get:$missing"
	root=
	[ "$(id -u)" -eq 0 ] || root=sudo
	# shellcheck disable=SC2086  # words are wanted
	{
		$root env DEBIAN_FRONTEND=noninteractive apt-get install -qy \
			--no-install-recommends $missing ||
		{
			$root apt-get update -q &&
			$root env DEBIAN_FRONTEND=noninteractive apt-get install \
				-qy --no-install-recommends $missing
		}
	} >&2 || fail "$EX_UNAVAILABLE" "could not install:$missing"
}

build() {
	# shellcheck disable=SC2086
	install_packages $BUILD_PACKAGES
	MAKEFLAGS="" MAKELEVEL="" make -s -j "$(nproc)" --no-print-directory \
		-C "$here" all >&2 ||
		fail "$EX_UNAVAILABLE" "the build failed, see above"
}

# --- configuration ----------------------------------------------------------

is_known_setting() {
	for known in $SETTINGS; do
		[ "$1" = "$known" ] && return 0
	done
	for known in $SECRETS; do
		[ "$1" = "$known" ] && return 0
		[ "$1" = "${known}_FILE" ] && return 0
	done
	return 1
}

# A secret in a file that others can read is worth a word, once.
warn_of_readers() { # KEY
	for secret in $SECRETS; do
		[ "$1" = "$secret" ] || continue
		[ -n "$is_warned" ] || [ -z "$(find -L "$config" -perm /077)" ] ||
			say "others can read the secrets in $config: chmod 600 it"
		is_warned=1
	done
}

# One line of ultron.conf; what the environment has set stays.
take_setting() { # LINE NUMBER
	key=$(printf '%s' "${1%%=*}" | sed 's/[[:blank:]]*$//')
	value=$(printf '%s' "${1#*=}" | sed 's/^[[:blank:]]*//')
	case $value in
	\"*\") value=${value#\"} value=${value%\"} ;;
	\'*\') value=${value#\'} value=${value%\'} ;;
	esac
	if [ "${1#*=}" = "$1" ] || ! is_known_setting "$key"; then
		say "$config:$2: unknown setting: $key"
		errors=$((errors + 1))
	elif eval "[ -z \"\${$key+set}\" ]"; then
		eval "$key=\$value"
	fi
	warn_of_readers "$key"
}

read_config() {
	number=0 is_warned=''
	while IFS= read -r line || [ -n "$line" ]; do
		number=$((number + 1))
		line=$(printf '%s' "$line" | tr -d '\r' | sed 's/^[[:blank:]]*//; s/[[:blank:]]*$//')
		case $line in
		'' | '#'*) ;;
		*) take_setting "$line" "$number" ;;
		esac
	done <"$config"
}

# With fewer anything may fail, and would blame what is innocent.
check_descriptors() {
	# shellcheck disable=SC3045  # dash and busybox have it
	files=$(ulimit -n)
	[ "$files" = unlimited ] || [ "$files" -ge "$DESCRIPTORS_LEAST" ] ||
		fail "$EX_UNAVAILABLE" "only $files files may be open at a time," \
			"$DESCRIPTORS_LEAST are needed: see ulimit -n"
}

# Secrets reach the programs that need them, no other child (see become).
hide_secrets() {
	for name in $SECRETS; do
		eval "[ -n \"\${$name+set}\" ] || continue
			hidden=\$$name; unset $name; $name=\$hidden"
	done
}

must_exist() { # KIND PATH WHAT
	test "-$1" "$2" && return
	say "$3: not found: $2"
	errors=$((errors + 1))
}

# Let each program judge its own part; they say what is wrong.
check_config() {
	"$bin/scanner" --patterns "$PATTERNS" </dev/null ||
		errors=$((errors + 1))
	"$bin/classifier" --classes "$CLASSES" </dev/null ||
		errors=$((errors + 1))
	(become slack-bot "$bin/slack-bot" --quotes "$QUOTES") </dev/null ||
		errors=$((errors + 1))
	(become ws-broadcast "$bin/ws-broadcast" --listen "$LISTEN" \
		--credentials "$STATE/credentials" --check) </dev/null ||
		errors=$((errors + 1))
	check_source || errors=$((errors + 1))
	check_sender || errors=$((errors + 1))
	[ "$errors" -eq 0 ] ||
		fail "$EX_CONFIG" "$errors of the settings must be mended"
}

check_source() {
	case $mode in
	live)
		[ -z "$checking" ] || say "for Slack there are $app and $bot"
		(become slack-reader "$bin/slack-reader" --state "$STATE" --check \
			${SLACK_CA_FILE:+--ca-file "$SLACK_CA_FILE"}) </dev/null
		;;
	demo-live) ;;
	*) "$bin/slack-reader" --replay /dev/null --speed "${speed:-1}" ;;
	esac
}

# Of a demo the Slack is still to come.
check_sender() {
	[ "$mode" = live ] || return 0
	(become slack-send "$bin/slack-send" --outbox "$STATE/outbox.db" \
		--dashboard "$DASHBOARD_URL" \
		${DIGEST_AFTER:+--digest-after "$DIGEST_AFTER"} \
		${SLACK_CA_FILE:+--ca-file "$SLACK_CA_FILE"} --check) </dev/null
}

# Under which name a token is set.
find_token() { # NAMES...
	for name in "$@"; do
		for found in "$name" "${name}_FILE"; do
			if eval "[ -n \"\${$found:-}\" ]"; then
				echo "$found"
				return
			fi
		done
	done
}

# Where none is set, what else is set can be checked all the same.
require_tokens() {
	app=$(find_token SLACK_APP_TOKEN) missing=''
	bot=$(find_token SLACK_BOT_TOKEN SLACK_BOT_ULTRON)
	[ -n "$app" ] || missing=SLACK_APP_TOKEN
	[ -n "$bot" ] || missing="${missing:+$missing and }SLACK_BOT_TOKEN"
	if [ -n "$checking" ] && [ -z "$app$bot" ]; then
		mode=check
	elif [ -n "$missing" ]; then
		fail "$EX_CONFIG" "to follow Slack set $missing in $config:" \
			"\"Connect it to Slack\" in README.md tells how" \
			"(--demo and --replay need no workspace)"
	fi
}

is_live() {
	[ "$mode" = live ] || [ "$mode" = demo-live ]
}

# --- stages -----------------------------------------------------------------

# Behind slack-reader, in order; start_stage says how each is called. What was
# recorded is not to be sent a second time.
choose_stages() {
	STAGES='attach-fetch slack-bot scanner classifier ws-broadcast slack-send stats'
	case $mode in
	demo | replay) STAGES='attach-fetch slack-bot scanner classifier ws-broadcast stats' ;;
	status) [ -e "$STATE/running/keep-slack-send.pid" ] ||
		STAGES='attach-fetch slack-bot scanner classifier ws-broadcast stats' ;;
	esac
}

# Become a program, with those secrets and settings in the environment that the
# stage needs; call it in a subshell.
become() { # STAGE PROGRAM ARGUMENTS...
	case $1 in
	slack-reader) needed='SLACK_APP_TOKEN SLACK_BOT_TOKEN SLACK_BOT_ULTRON
		SLACK_API_URL SLACK_CHANNEL_LIST' ;;
	attach-fetch) needed='SLACK_BOT_TOKEN SLACK_BOT_ULTRON SLACK_API_URL' ;;
	slack-bot)
		needed='SECRET_WEAPON ULTRONEX_BOT_ID'
		# What was recorded asks nobody anything.
		[ "$mode" = demo ] || [ "$mode" = replay ] ||
			needed="$needed GIPHY_API_KEY GIPHY_API_URL"
		;;
	slack-send) needed='SLACK_BOT_TOKEN SLACK_BOT_ULTRON SLACK_API_URL
		ULTRON_ALLOW_BROADCAST' ;;
	ws-broadcast) needed='BASIC_AUTH_USERNAME BASIC_AUTH_PASSWORD
		BASIC_AUTH_REALM HTTP_SCHEME TLS_CERTIFICATE TLS_KEY
		CONNECTIONS_PER_ADDRESS' ;;
	*) needed= ;;
	esac
	for name in $needed; do
		eval "[ -z \"\${$name+set}\" ] || export $name"
		eval "[ -z \"\${${name}_FILE+set}\" ] || export ${name}_FILE"
	done
	# libcurl brings GnuTLS along, which nobody uses: 0.7 MB less.
	export GNUTLS_NO_IMPLICIT_INIT=1
	shift
	exec "$@"
}

# Start a program that dies with this shell.
start() { # STAGE PROGRAM ARGUMENTS...
	trap '' INT HUP
	stage=$1
	shift
	become "$stage" setpriv --pdeathsig KILL "$@"
}

# Start a stage under keep. A TERM to all processes is for slack-reader: the
# others end behind it, when all is through.
start_kept() { # STAGE ARGUMENTS...
	trap '' TERM USR1 # it asks for USR1 when it is up
	stage=$1 hang=$STAGE_HANG begin=''
	shift
	[ "$stage" != stats ] || [ -z "$is_torn" ] || begin=--begin-line
	[ "$stage" != ws-broadcast ] || [ -z "$staying" ] || hang=0
	start "$stage" "$bin/keep" --name "$stage" --hang "$hang" \
		--dead-letters "$DEAD_LETTERS" --whole-lines $begin \
		--status "$running/$stage.status" -- "$bin/$stage" "$@"
}

start_reader() {
	! is_live || : "${after:=0}"
	set -- --status "$running/slack-reader.status" ${after:+--after "$after"}
	if is_live; then
		start slack-reader "$bin/slack-reader" --state "$STATE" \
			--inbox "$STATE/inbox.sock" \
			${SLACK_CA_FILE:+--ca-file "$SLACK_CA_FILE"} "$@"
	else
		# shellcheck disable=SC2086  # options are words
		start slack-reader "$bin/slack-reader" $source_options \
			--replay "$replay" "$@"
	fi
}

start_stage() { # STAGE
	case $1 in
	attach-fetch)
		! is_live || set -- "$1" --inbox "$STATE/inbox.sock" \
			${SLACK_CA_FILE:+--ca-file "$SLACK_CA_FILE"}
		# shellcheck disable=SC2086
		start_kept "$@" --spool "$SPOOL" $fetch_options $offline
		;;
	slack-bot)
		# A recording is answered the same each time, whatever runs now.
		! is_live || set -- "$1" --inbox "$STATE/inbox.sock" \
			--journal "$STATE/journal" \
			--stats "$STATE/stats.json" --running "$running" \
			--dashboard "$DASHBOARD_URL"
		start_kept "$@" --subscriptions "$STATE/subscriptions" \
			--spool "$SPOOL" --quotes "$QUOTES"
		;;
	scanner)
		start_kept "$1" --patterns "$PATTERNS" --spool "$SPOOL" \
			--subscriptions "$STATE/subscriptions"
		;;
	classifier) start_kept "$1" --classes "$CLASSES" ;;
	ws-broadcast)
		! is_live || set -- "$1" --inbox "$STATE/inbox.sock" \
			--outbox "$STATE/outbox.db"
		start_kept "$@" --listen "$LISTEN" --run "$run" \
			--stats "$STATE/stats.json" --running "$running" \
			--subscriptions "$STATE/subscriptions" \
			--credentials "$STATE/credentials" $staying
		;;
	slack-send)
		start_kept "$1" --outbox "$STATE/outbox.db" \
			--inbox "$STATE/inbox.sock" --dashboard "$DASHBOARD_URL" \
			--status "$running/slack-send.queue" \
			${DIGEST_AFTER:+--digest-after "$DIGEST_AFTER"} \
			${SLACK_CA_FILE:+--ca-file "$SLACK_CA_FILE"}
		;;
	stats)
		start_kept "$1" --snapshot "$STATE/stats.json" $stats_options
		;;
	esac
}

# --- the line ---------------------------------------------------------------

# Up to where all went all the way (stats/snapshot.c). The keys around it tell
# it from a channel of that name.
find_checkpoint() {
	sed -n 's/.*,"checkpoint":\([0-9]*\),"errors".*/\1/p' \
		"$STATE/stats.json" 2>/dev/null
}

# Made once, so that a full disk is no hindrance later, and again where somebody
# removed them.
make_pipes() {
	mkdir -p "$running" || return
	for stage in log alarm $STAGES; do
		pipe=$running/$stage.pipe
		[ -p "$pipe" ] || { rm -f "$pipe" && mkfifo "$pipe"; } || return
	done
}

# What a line needs; waits where that cannot be had.
get_ready() {
	until [ -n "$stopping" ] || { make_pipes && await_earlier_line; }; do
		say "cannot write in $running, trying it again in 10 s"
		pause 10
	done
}

# To be written to as descriptor 6 and read from as 7.
open_pipe() { # NAME
	# shellcheck disable=SC2094  # it is a fifo
	[ -p "$running/$1.pipe" ] && command exec 7<>"$running/$1.pipe" 6>"$running/$1.pipe" 7<"$running/$1.pipe"
}

# Start all, each reading what the one before it writes. All processes are
# children of this shell and die with it.
start_line() {
	after=$(find_checkpoint) kept='' ends='' reader=''
	open_pipe attach-fetch || return
	(start_reader) <&3 >&6 3<&- 5<&- 6>&- 7<&- 9>&- &
	reader=$!
	write_pid slack-reader "$reader"
	for stage in $STAGES; do
		exec 5<&7
		next=${STAGES#*"$stage "}
		if [ "$stage" = stats ]; then
			exec 6>&1 7<&-
		else
			open_pipe "${next%% *}" || return
		fi
		(start_stage "$stage") <&5 >&6 3<&- 5<&- 6>&- 7<&- 9>&- &
		last=$!
		kept="$kept $stage:$last"
		write_pid "keep-$stage" "$last"
	done
	exec 5<&- 6>&-
}

# What was begun cannot be ended.
abandon_line() {
	exec 5<&- 6>&- 7<&-
	kill_line
	for entry in ":$reader" $kept; do
		[ -z "${entry#*:}" ] || await "${entry#*:}"
	done
	deaths='a pipe was missing' final='' is_unread='' read_status=1 reader=''
}

# For others to read.
write_pid() { # NAME PID
	echo "$2" >"$running/$1.pid"
}

pid_of_keep() { # STAGE
	for entry in $kept; do
		[ "${entry%:*}" != "$1" ] || echo "${entry#*:}"
	done
}

# The status of a child, as often as one asks; a signal to this shell does not
# end the wait, but may take the place of the status.
await() { # PID
	for end in $ends; do
		[ "${end%:*}" != "$1" ] || return "${end#*:}"
	done
	while :; do
		wait "$1" 2>/dev/null # where dash would say how it died
		status=$?
		kill -0 "$1" 2>/dev/null || break
	done
	wait "$1" 2>/dev/null
	again=$?
	[ "$again" -eq 127 ] || status=$again
	ends="$ends $1:$status"
	return "$status"
}

# Is it a child of this shell? Else its number is somebody else's, or free.
is_child() { # PID
	read -r _ _ _ parent _ 2>/dev/null <"/proc/$1/stat" &&
		[ "$parent" = $$ ]
}

describe_death() { # STATUS
	if [ "$1" -gt 128 ]; then
		echo "was killed by signal $(($1 - 128))"
	else
		echo "ended with status $1"
	fi
}

# What of the line died by itself: who lost his reader (141) did not, nor who
# came to the end of his input.
note_end() { # NAME STATUS
	case $2 in
	0) return ;;
	141) [ "$1" = 'keep of stats' ] && is_unread=1 && return ;;
	"$EX_USAGE" | "$EX_NOINPUT" | "$EX_CONFIG") final=$2 ;;
	"$EX_UNAVAILABLE") [ "$lines" -gt 1 ] || final=$2 ;;
	esac
	[ "$2" -eq 141 ] ||
		deaths="${deaths:+$deaths, }$1 $(describe_death "$2")"
}

# Who does not end in time is killed, unless the other end of standard input is
# closed before.
kill_after() { # SECONDS
	timeout -s KILL "$1" cat
	[ $? -ne 137 ] || kill_line
}

# However the line ends, the last of it ends: the end of input walks down from
# where it broke. Those above notice, or are asked to leave; then it is over.
await_line() {
	deaths='' final='' is_unread=''
	[ -z "$staying" ] || stay
	await "$last"
	last_status=$?
	terminate_reader
	make_pipes && open_pipe alarm
	(trap '' INT HUP TERM && kill_after 10) <&7 >/dev/null 2>&1 3<&- 4>&- 6>&- \
		7<&- 9>&- &
	alarm=$!
	exec 7<&-
	await "$reader"
	read_status=$?
	note_end slack-reader "$read_status"
	for stage in ${STAGES% *}; do
		await "$(pid_of_keep "$stage")"
		note_end "keep of $stage" $?
	done
	note_end "keep of stats" "$last_status"
	[ "$last_status" -le 128 ] || is_torn=1
	exec 6>&-
	wait "$alarm"
	rm -f "$running"/*.pid "$running"/*.status
	reader=''
	# All that the last stage answered has left then, which it cannot know.
	[ "$last_status" -ne 0 ] ||
		"$bin/stats" --snapshot "$STATE/stats.json" --passed </dev/null
}

# With --stay the dashboard outlives the recording, until it is asked to end.
# It does not outlive a death before it.
stay() {
	is_whole=1
	for entry in ":$reader" ${kept%% ws-broadcast:*}; do
		await "${entry#*:}" || is_whole=''
	done
	shown=$(pid_of_keep ws-broadcast)
	while [ -n "$is_whole" ] && [ -z "$stopping" ] &&
		kill -0 "$shown" 2>/dev/null; do
		wait "$shown"
	done
	while kill -0 "$shown" 2>/dev/null; do
		terminate_stage ws-broadcast
		sleep 0.2 9>&-
	done
}

terminate_stage() { # STAGE
	read -r _ pid _ <"$running/$1.status" && [ "$pid" -gt 0 ] &&
		kill -TERM "$pid"
} 2>/dev/null

# Ask the source to end; the end of input walks down the line.
# shellcheck disable=SC2317  # a trap calls it
stop() {
	stopping=1
	: "${asked_s:=$(date +%s)}"
	terminate_reader
}

# Asked again it ends now: of Slack the next start does the rest. But one request
# may come by two ways.
# shellcheck disable=SC2317
insist() {
	if [ -z "$stopping" ] || [ -z "$reader" ]; then
		stop
		return
	fi
	[ $(($(date +%s) - asked_s)) -ge 2 ] || return
	say "asked to end again: leaving now what is not through"
	is_cut=1
	kill_line
}

# A shell that is still to become the reader would miss the request; it has
# nothing in its hands.
terminate_reader() {
	[ -n "$reader" ] && is_child "$reader" || return 0
	# shellcheck disable=SC3013  # dash and busybox have it
	if [ "/proc/$reader/exe" -ef "/proc/$$/exe" ]; then
		kill -KILL "$reader"
	else
		kill -TERM "$reader"
	fi
} 2>/dev/null

kill_line() {
	for entry in ":$reader" $kept; do
		! is_child "${entry#*:}" || kill -KILL "${entry#*:}"
	done
} 2>/dev/null

# Processes of an earlier line, of a shell that was killed perhaps, must have
# gone: all of a line hold this lock.
await_earlier_line() {
	exec 4>&-
	command exec 4>>"$running/line" || return
	# A shell that has just been started may hold it for a moment.
	flock -w 0.2 4 9>&- && return
	say "waiting for the processes of an earlier start to end"
	until [ -n "$stopping" ] || flock -w 1 4 9>&-; do
		:
	done
}

# The pause before the next start: longer each time, up to 10 s.
find_next_pause() { # PAUSE
	case $1 in
	0.2) echo 0.5 ;;
	0.5) echo 1 ;;
	1) echo 2 ;;
	2) echo 5 ;;
	*) echo 10 ;;
	esac
}

pause() { # SECONDS
	sleep "$1" >/dev/null 2>&1 3<&- 4>&- 9>&- &
	wait $!
}

# May the line be started again after its end? If so, say it.
may_go_on() {
	if [ -n "$final" ]; then
		say "$deaths: starting again would not help, stopping"
		result=$final
	elif [ -n "$is_cut" ]; then
		result=1
	elif [ -n "$stopping" ] || [ -n "$is_unread" ]; then
		result=0
	elif [ -z "$deaths" ] && ! is_live && [ "$read_status" -eq 0 ]; then
		result=0
	elif [ "$replay" = - ]; then
		say "$deaths: standard input cannot be read twice, stopping"
		result=1
	else
		: "${deaths:=slack-reader ended by itself}"
		say "$deaths, starting all again in $wait_seconds s"
		return 0
	fi
	return 1
}

# Does the file that records are appended to end amid one?
is_output_torn() {
	output=/proc/$$/fd/1
	[ -f "$output" ] && [ -s "$output" ] && [ -n "$(tail -c 1 "$output" | tr '\0' x)" ]
}

# Keep the line running until its input ends or somebody stops it.
run_line() {
	lines=0 wait_seconds=0.2 result=0 is_torn=''
	! is_output_torn || is_torn=1
	while :; do
		get_ready
		[ -z "$stopping" ] || return 0
		lines=$((lines + 1))
		if start_line; then
			is_torn=''
			[ -z "$stopping" ] || terminate_reader # asked amid it
			await_line
		else
			abandon_line
		fi
		[ "$(find_checkpoint)" = "$after" ] || wait_seconds=0.2
		may_go_on || return "$result"
		pause "$wait_seconds"
		[ -z "$stopping" ] || return 0
		wait_seconds=$(find_next_pause "$wait_seconds")
	done
}

# --- status -----------------------------------------------------------------

# Ask each keep; one that is stopped or amid its death does not answer. The
# moment of the question stands in a file, which a full disk does not hinder.
print_status() {
	touch "$running/asked"
	# shellcheck disable=SC2046  # words are wanted
	kill -USR1 $(cat "$running"/keep-*.pid)
	sleep 0.2
	printf '%-14s %8s  %-27s %8s %8s\n' STAGE PID SINCE RESTARTS WAITING
	if [ -s "$running/slack-reader.pid" ]; then
		printf '%-14s %8s  %-27s %8s %8s\n' slack-reader \
			"$(cat "$running/slack-reader.pid")" \
			"$(date -u -r "$running/slack-reader.pid" +%FT%T.%6NZ)" - -
	else
		printf '%-14s %s\n' slack-reader 'is not up'
	fi
	for stage in $STAGES; do
		file=$running/$stage.status
		# shellcheck disable=SC3013  # dash and busybox have it
		if [ -s "$file" ] && ! [ "$running/asked" -nt "$file" ]; then
			# shellcheck disable=SC2046,SC2183
			printf '%-14s %8s  %-27s %8s %8s\n' $(cat "$file")
		else
			printf '%-14s %s\n' "$stage" 'does not answer'
		fi
	done
	print_slack
} 2>/dev/null

# As slack-reader tells it, if it is the one that runs.
print_slack() {
	read -r slack since connections seq journal pid \
		<"$running/slack-reader.status" || return
	[ "$pid" = "pid=$(cat "$running/slack-reader.pid")" ] &&
		[ "$slack" != slack=replay ] || return
	echo "Slack: ${slack#*=} since ${since#*=}," \
		"connections: ${connections#*=};" \
		"journal: ${journal#*=}, last record: ${seq#*=}"
}

# From another shell.
show_status() {
	running=$STATE/running
	[ ! -e "$STATE" ] || [ -x "$STATE" ] ||
		fail "$EX_NOPERM" "$STATE belongs to somebody else"
	[ -e "$STATE/lock" ] || fail "$EX_UNAVAILABLE" "nothing runs on $STATE"
	! flock -n "$STATE/lock" true ||
		fail "$EX_UNAVAILABLE" "nothing runs on $STATE"
	print_status
}

# --- log --------------------------------------------------------------------

# Log lines get their time, unless a person is looking at them.
open_log() {
	stamper=
	[ ! -t 2 ] || return 0
	open_pipe log
	(stamp_lines) <&7 3<&- 4>&- 6>&- 7<&- 9>&- &
	stamper=$!
	exec 2>&6 6>&- 7<&-
}

stamp_lines() {
	trap '' INT TERM HUP
	while IFS= read -r line; do
		printf '%s %s\n' "$(date -u +%Y-%m-%dT%H:%M:%SZ)" "$line"
	done >&2
}

# Until all is written.
close_log() {
	[ -n "$stamper" ] || return 0
	exec 2>/dev/null
	wait "$stamper"
}

# --- state folder -----------------------------------------------------------

# Make the folder ours; somebody else's is left alone.
claim_folder() { # DIR
	mkdir -p "$1" || fail "$EX_CONFIG" "cannot make $1"
	[ -e "$1/ultron" ] || holds_only_ours "$1" || fail "$EX_CONFIG" \
		"$1 is not empty and no state folder of Ultron"
	(: >>"$1/ultron") 2>/dev/null || fail "$EX_CONFIG" "cannot write in $1"
}

# Is there nothing in it but state folders, as those of demos?
holds_only_ours() { # DIR
	for entry in "$1"/* "$1"/.[!.]* "$1"/..?*; do
		[ -e "$entry/ultron" ] || { [ ! -e "$entry" ] && [ ! -L "$entry" ]; } ||
			return 1
	done
}

# The journal and the counts of a workspace must not be mixed with anything
# else; the file `ultron` says whose they are, nothing is for recordings.
dedicate_folder() {
	owner=$(cat "$STATE/ultron")
	if [ -n "$owner" ]; then
		[ "$owner" = "$mode" ] || fail "$EX_CONFIG" \
			"$STATE is kept for $owner runs: give another --state DIR"
	elif is_live; then
		[ ! -e "$STATE/journal" ] || [ "$mode" = live ] || fail "$EX_CONFIG" \
			"$STATE holds a journal: give the demo another --state DIR"
		rm -f "$STATE"/stats.json*
		if ! { echo "$mode" >"$STATE/ultron" && sync "$STATE/ultron"; }; then
			fail "$EX_CONFIG" "cannot write in $STATE"
		fi
	fi
	case $mode in
	live) identify_run && return ;;
	demo-live) rm -rf "$STATE/journal" "$STATE/spool" "$STATE/names.ndjson" \
		"$STATE/backfill.json" "$STATE"/outbox.db* ;;
	esac
	rm -f "$STATE"/stats.json* "$STATE"/subscriptions* # counts from 1
}

# Viewers go on where they were, by seq: that is one's own for ever where there
# is a journal.
identify_run() {
	if [ -s "$STATE/run" ] && [ -e "$STATE/journal" ]; then
		run=$(cat "$STATE/run")
	else
		echo "$run" >"$STATE/run"
	fi
}

# The lock dies with this shell: nobody inherits it.
open_state() {
	umask 077
	[ -z "$parent" ] || claim_folder "$parent"
	claim_folder "$STATE"
	(: >>"$STATE/lock") 2>/dev/null || fail "$EX_CONFIG" "cannot write in $STATE"
	exec 9>>"$STATE/lock"
	flock -w 1 9 || fail "$EX_UNAVAILABLE" \
		"another pipeline runs on $STATE: stop it or give another --state DIR"
	running=$STATE/running
	mkdir -p "$running" || fail "$EX_CONFIG" "cannot make $running"
	await_earlier_line || fail "$EX_CONFIG" "cannot write in $running"
	dedicate_folder
	clear_running
	make_pipes || fail "$EX_CONFIG" "cannot write in $running"
	: >"$running/asked"
	[ -n "$offline" ] || mkdir -p "$SPOOL"
}

clear_running() {
	rm -f "$running"/*.pid "$running"/*.status "$running"/*.pipe "$running"/*.queue \
		"$running/asked" "$running"/slack.*
}

# --- a Slack to play with ----------------------------------------------------

# It ends with us: its input is the fifo that we hold open. A session of its own
# keeps it from the terminal's Ctrl-C, so that slack-reader can say goodbye.
start_fake_slack() {
	mkfifo "$running/slack.in" "$running/slack.out" ||
		fail "$EX_UNAVAILABLE" "cannot start the made-up Slack"
	setsid /usr/bin/python3 "$here/tests/fake_slack.py" --demo --parent \
		<"$running/slack.in" >"$running/slack.out" 3<&- 4>&- 9>&- &
	fake=$!
	exec 8>"$running/slack.in"
	IFS= read -r about <"$running/slack.out" ||
		fail "$EX_UNAVAILABLE" "the made-up Slack did not start, see above"
	rm -f "$running"/slack.*

	SLACK_API_URL=$(find_word api_url)
	# shellcheck disable=SC2034  # become exports them
	SLACK_APP_TOKEN=$(find_word app) SLACK_BOT_TOKEN=$(find_word bot)
	host=${SLACK_API_URL#http://}
	fetch_options="--insecure-hosts ${host%%/*}"
	control=$(find_word control_url)
	say "to speak in the made-up Slack:" \
		"curl -s $control -d '{\"do\":\"send\",\"text\":\":x: hello\"}'"
	say "to the bot in it:" \
		"curl -s $control -d '{\"do\":\"send\",\"text\":\"<@$(find_word bot_user)> help\"}'"
	say "all that it said there: curl -s $control/posts | jq -r '.posts[].text'"
}

find_word() { # NAME
	printf '%s\n' "$about" | sed -n "s/.*\"$1\": *\"\([^\"]*\)\".*/\1/p"
}

end_fake_slack() {
	[ -n "$fake" ] || return 0
	kill -TERM "$fake" 2>/dev/null
	wait "$fake" 2>/dev/null
}

# --- the whole --------------------------------------------------------------

choose_mode() { # MODE
	[ -z "$mode" ] || wrong_use "only one of --demo, --demo=live and --replay"
	mode=$1
}

parse_options() {
	mode='' checking='' replay='' speed='' config=$here/ultron.conf errors=0
	state='' parent='' spool='' source_options='' fetch_options=''
	offline='' staying='' stats_options='' fake='' reader='' stopping='' is_cut='' asked_s=''
	while [ $# -gt 0 ]; do
		case $1 in
		--replay | --speed | --config | --state | --spool | --listen)
			[ $# -gt 1 ] || wrong_use "$1 needs an argument"
			;;
		esac
		case $1 in
		--demo) choose_mode demo ;;
		--demo=live) choose_mode demo-live ;;
		--replay) choose_mode replay && replay=$2 && shift ;;
		--speed) speed=$2 && shift ;;
		--check) checking=1 ;;
		--config) config=$2 && must_exist f "$2" "$1" && shift ;;
		--state) state=$2 && shift ;;
		--spool) spool=$2 && shift ;;
		--listen) LISTEN=$2 && shift ;;
		--status) choose_mode status ;;
		--offline) offline=--offline ;;
		--stay) staying=--stay ;;
		--install-for-tests) choose_mode install ;;
		--help | -h) usage && exit 0 ;;
		*) wrong_use "unknown option: $1" ;;
		esac
		shift
	done
	: "${mode:=live}"
	[ -z "$speed" ] || ! is_live || wrong_use "--speed is for recordings"
	[ -z "$staying" ] || ! is_live || wrong_use "--stay is for recordings"
}

# A day in about three minutes, over and over, from the examples; what is set
# otherwise stays.
choose_demo() {
	: "${speed:=240}" "${SPOOL:=$here/examples/spool}"
	replay=$here/examples/qa-day.ndjson
	source_options='--loop --burst 150'
	offline=--offline
}

# Nothing of a real workspace is to meet the made-up one.
choose_fake_slack() {
	unset SPOOL SLACK_APP_TOKEN SLACK_APP_TOKEN_FILE SLACK_BOT_TOKEN \
		SLACK_BOT_TOKEN_FILE SLACK_BOT_ULTRON SLACK_BOT_ULTRON_FILE \
		SLACK_CHANNEL_LIST SLACK_CA_FILE
}

# What is not Slack has a folder of its own, which keeps the real counts from
# harm; those of the demos are always beside run.sh.
choose_state() {
	case $mode in
	replay) parent=${STATE:-$here/state} ;;
	demo*) parent=$here/state ;;
	*) STATE=${state:-${STATE:-$here/state}} && return ;;
	esac
	if [ -n "$state" ]; then
		STATE=$state parent=''
	else
		STATE=$parent/$mode
	fi
}

# Offline, a replay takes the files that came when it happened.
choose_defaults() {
	choose_state
	[ -z "$offline" ] || [ -z "$parent" ] || : "${SPOOL:=$parent/spool}"
	SPOOL=${spool:-${SPOOL:-$STATE/spool}}
	: "${LISTEN:=127.0.0.1:8080}"
	: "${DASHBOARD_URL:=${HTTP_SCHEME:-http}://$LISTEN}"
	: "${STAGE_HANG:=60}" "${DEAD_LETTERS:=$STATE/dead-letters.ndjson}"
	: "${PATTERNS:=$here/examples/patterns.conf}"
	: "${CLASSES:=$here/examples/classes.conf}"
	: "${QUOTES:=$here/examples/quotes.txt}"
	source_options="$source_options --speed ${speed:-1}"
	bin=${BIN:-$here/build/bin}
	run=$(date +%s)-$$
}

# Records go to those who want them; a terminal would only drown.
choose_output() {
	if [ "$mode" = demo ] || [ "$mode" = demo-live ]; then
		exec >/dev/null
		return
	fi
	[ ! -t 2 ] || stats_options=--summary
	[ "$mode" != live ] || [ ! -t 1 ] || exec >/dev/null
}

prepare() {
	if [ "$mode" = demo-live ]; then
		# shellcheck disable=SC2086
		install_packages $FAKE_SLACK_PACKAGES
	fi
	build
	check_config
	is_live || [ "$replay" = - ] || [ -r "$replay" ] ||
		fail "$EX_NOINPUT" "cannot read the recording: $replay"
	open_state
	[ "$mode" != demo-live ] || start_fake_slack
	choose_output
}

main() {
	parse_options "$@"
	if [ "$mode" = install ]; then
		# shellcheck disable=SC2086
		install_packages $BUILD_PACKAGES $TEST_PACKAGES
		exit 0
	fi
	# shellcheck disable=SC3045  # so that no core holds a secret
	ulimit -c 0
	check_descriptors
	if [ -r "$config" ]; then
		read_config
	fi
	hide_secrets
	case $mode in
	live) require_tokens ;;
	demo) choose_demo ;;
	demo-live) choose_fake_slack ;;
	esac
	choose_defaults
	choose_stages
	if [ -n "$checking" ]; then
		[ -x "$bin/stats" ] || fail "$EX_UNAVAILABLE" "build first: make"
		check_config
		exit 0
	fi
	if [ "$mode" = status ]; then
		show_status
		exit 0
	fi
	prepare
	exec 3<&0
	trap insist TERM INT
	trap stop HUP # it comes twice by itself
	trap '(print_status >&2)' USR1
	trap '' PIPE # of the log, say
	open_log
	run_line
	result=$?
	close_log
	end_fake_slack
	clear_running
	exit "$result"
}

main "$@"
