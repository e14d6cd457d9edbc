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
bin=$here/build/bin

BUILD_PACKAGES='gcc make libc6-dev libcurl4-openssl-dev
	libcjson-dev libwebsockets-dev libpcre2-dev libarchive-dev libssl-dev
	libjs-bootstrap5'
FAKE_SLACK_PACKAGES='python3 python3-aiohttp openssl'
TEST_PACKAGES="$FAKE_SLACK_PACKAGES libcmocka-dev libasan8 libubsan1
	python3-pytest python3-pytest-xdist python3-selenium chromium
	chromium-driver mandoc shellcheck
	jq zip"

# What ultron.conf may hold; the environment may hold the same.
SECRETS='SLACK_APP_TOKEN SLACK_BOT_TOKEN SLACK_BOT_ULTRON BASIC_AUTH_PASSWORD
	GIPHY_API_KEY SECRET_WEAPON'
SETTINGS='SLACK_API_URL SLACK_CA_FILE SLACK_CHANNEL_LIST ULTRONEX_BOT_ID
	IRONMAN_USER_ID BASIC_AUTH_USERNAME BASIC_AUTH_REALM HTTP_SCHEME
	ENVIRONMENT ENV LISTEN STATE SPOOL PATTERNS CLASSES'

EX_USAGE=64
EX_NOINPUT=66
EX_UNAVAILABLE=69
EX_CONFIG=78

usage() {
	cat <<-'END'
	usage: run.sh [--demo | --demo=live | --replay FILE|DIR|-] [--check]
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

# Secrets reach the programs that need them, no other child (see supervise).
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
	case ${HTTP_SCHEME:-http} in
	http | https) ;;
	*)
		say "HTTP_SCHEME: expected http or https: $HTTP_SCHEME"
		errors=$((errors + 1))
		;;
	esac
	"$bin/scanner" --patterns "$PATTERNS" </dev/null ||
		errors=$((errors + 1))
	"$bin/classifier" --classes "$CLASSES" </dev/null ||
		errors=$((errors + 1))
	(become ws-broadcast --listen "$LISTEN" \
		--credentials "$STATE/credentials" --check) </dev/null ||
		errors=$((errors + 1))
	check_source || errors=$((errors + 1))
	[ "$errors" -eq 0 ] ||
		fail "$EX_CONFIG" "$errors of the settings must be mended"
}

check_source() {
	case $mode in
	live)
		[ -z "$checking" ] || say "for Slack there are $app and $bot"
		(become slack-reader --state "$STATE" --check \
			${SLACK_CA_FILE:+--ca-file "$SLACK_CA_FILE"}) </dev/null
		;;
	demo-live) ;;
	*) "$bin/slack-reader" --replay /dev/null --speed "${speed:-1}" ;;
	esac
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

# Become the stage's program, with those secrets and settings in the environment
# that it needs; call it in a subshell.
become() { # STAGE ARGUMENTS...
	case $1 in
	slack-reader) needed='SLACK_APP_TOKEN SLACK_BOT_TOKEN SLACK_BOT_ULTRON
		SLACK_API_URL SLACK_CHANNEL_LIST' ;;
	attach-fetch) needed='SLACK_BOT_TOKEN SLACK_BOT_ULTRON SLACK_API_URL' ;;
	ws-broadcast) needed='BASIC_AUTH_USERNAME
		BASIC_AUTH_PASSWORD BASIC_AUTH_REALM' ;;
	*) needed= ;;
	esac
	for name in $needed; do
		eval "[ -z \"\${$name+set}\" ] || export $name"
		eval "[ -z \"\${${name}_FILE+set}\" ] || export ${name}_FILE"
	done
	# libcurl brings GnuTLS along, which nobody uses: 0.7 MB less.
	export GNUTLS_NO_IMPLICIT_INIT=1
	program=$bin/$1
	shift
	exec "$program" "$@"
}

describe_death() { # STATUS
	if [ "$1" -gt 128 ]; then
		echo "was killed by signal $(($1 - 128))"
	else
		echo "ended with status $1"
	fi
}

# End all with STATUS: stop the source, the end of input walks down the line.
stop_all() { # STATUS
	echo "$1" >"$running/status"
	: >"$running/stopping"
	stop_source
}

# Until it has gone: a program that has just started may not listen yet.
stop_source() {
	tries=0
	while [ "$tries" -lt 50 ] && terminate slack-reader; do
		sleep 0.1
		tries=$((tries + 1))
	done
	[ -z "$staying" ] || terminate ws-broadcast
}

terminate() { # STAGE
	pid=$(cat "$running/$1.pid" 2>/dev/null) && kill -TERM "$pid" 2>/dev/null
}

is_stopping() {
	[ -e "$running/stopping" ]
}

# Arguments that are another at each start of a stage. A dead slack-reader may
# have left half a line, which spoils the one behind it: that had better be one
# that went all the way before.
find_start_arguments() { # STAGE
	case $1 in
	slack-reader)
		after=$(find_resumption)
		! is_live || : "${after:=0}"
		[ "$starts" -eq 1 ] || [ "${after:-0}" -eq 0 ] || after=$((after - 1))
		echo ${after:+--after "$after"}
		;;
	ws-broadcast) is_stopping || echo $staying ;;
	esac
}

# How the source goes on after a death: behind what went all the way. The keys
# around it (stats/snapshot.c) tell it from a channel of that name.
find_resumption() {
	sed -n 's/.*,"seq":\([0-9]*\),"errors".*/\1/p' "$STATE/stats.json" 2>/dev/null
}

# What starting again cannot help, ends the pipeline: wrong use, no such input,
# wrong configuration, and a port that is taken from the first.
is_final() { # STATUS STARTS
	case $1 in
	"$EX_USAGE" | "$EX_NOINPUT" | "$EX_CONFIG") return 0 ;;
	"$EX_UNAVAILABLE") [ "$2" -eq 1 ] ;;
	*) return 1 ;;
	esac
}

# May a stage that died be started again? While stopping only those are that
# somebody's TERM to all processes hit: what is left in the pipes goes through.
may_restart() { # STAGE STATUS
	if is_stopping; then
		[ "$2" -eq 143 ] && [ "$1" != slack-reader ]
	elif [ "$1" = slack-reader ] && [ "$replay" = - ]; then
		say "standard input cannot be read twice, stopping"
		stop_all "$2"
		return 1
	fi
}

# The pause before the next start: twice as long each time, up to 10 s.
find_next_pause() { # PAUSE
	case $1 in
	0.2) echo 0.5 ;;
	0.5) echo 1 ;;
	1) echo 2 ;;
	2) echo 5 ;;
	*) echo 10 ;;
	esac
}

# Start the stage and wait for its end; its status is the result.
run_stage() { # STAGE ARGUMENTS...
	# shellcheck disable=SC2046  # words are wanted
	become "$@" $(find_start_arguments "$1") \
		<&3 3<&- 9>&- &
	echo $! >"$running/$1.pid"
	if [ "$1" = slack-reader ] && is_stopping; then
		stop_source & # the request came before there was a process
	fi
	wait $! 2>/dev/null
}

# Keep one stage running until its input ends. This shell holds both pipes, so
# that the neighbours do not notice when the stage dies.
supervise() { # STAGE ARGUMENTS...
	stage=$1
	pause=0.2 starts=0
	trap '' INT TERM HUP
	exec 3<&0
	while :; do
		began=$(date +%s) starts=$((starts + 1))
		run_stage "$@"
		status=$?
		case $status in
		0 | 141) break ;; # end of input; nobody reads the output
		esac
		if is_final "$status" "$starts"; then
			stop_all "$status"
			break
		fi
		# Where TERM went to all, the shell above may learn it a moment later.
		[ "$status" -ne 143 ] || sleep 0.2
		may_restart "$stage" "$status" || break
		is_stopping && continue
		[ $(($(date +%s) - began)) -lt 10 ] || pause=0.2
		say "$stage $(describe_death "$status"), starting it again in $pause s"
		sleep "$pause"
		pause=$(find_next_pause "$pause")
	done
	rm -f "$running/$stage.pid"
}

supervise_source() {
	if is_live; then
		supervise slack-reader --state "$STATE" --inbox "$STATE/inbox.sock" \
			${SLACK_CA_FILE:+--ca-file "$SLACK_CA_FILE"}
	else
		# shellcheck disable=SC2086  # options are words
		supervise slack-reader $source_options --replay "$replay"
	fi
}

supervise_fetch() {
	! is_live || set -- --inbox "$STATE/inbox.sock" \
		${SLACK_CA_FILE:+--ca-file "$SLACK_CA_FILE"}
	# shellcheck disable=SC2086
	supervise attach-fetch --spool "$SPOOL" "$@" $fetch_options $offline
}

run_pipeline() {
	# shellcheck disable=SC2086
	supervise_source |
		supervise_fetch |
		supervise scanner --patterns "$PATTERNS" --spool "$SPOOL" |
		supervise classifier --classes "$CLASSES" |
		supervise ws-broadcast --listen "$LISTEN" --run "$run" \
			--stats "$STATE/stats.json" \
			--credentials "$STATE/credentials" |
		supervise stats --snapshot "$STATE/stats.json" $stats_options
}

# Log lines get their time here, unless a person is looking at them.
run_with_log() {
	trap '' INT TERM HUP # they are for the shell above, which stops the source
	if [ -t 2 ]; then
		run_pipeline
		return
	fi
	{
		run_pipeline 2>&1 >&4 4>&- |
			while IFS= read -r line; do
				printf '%s %s\n' "$(date -u +%Y-%m-%dT%H:%M:%SZ)" "$line"
			done >&2
	} 4>&1
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
		rm -f "$STATE/stats.json"
		echo "$mode" >"$STATE/ultron"
	fi
	case $mode in
	live) return ;;
	demo-live) rm -rf "$STATE/journal" "$STATE/spool" "$STATE/names.ndjson" \
		"$STATE/backfill.json" ;;
	esac
	rm -f "$STATE/stats.json" # counts from 1
}

# The lock dies with this shell and its supervisors; the stages do not inherit
# it.
open_state() {
	umask 077
	[ -z "$parent" ] || claim_folder "$parent"
	claim_folder "$STATE"
	(: >>"$STATE/lock") 2>/dev/null || fail "$EX_CONFIG" "cannot write in $STATE"
	exec 9>>"$STATE/lock"
	flock -n 9 || fail "$EX_UNAVAILABLE" \
		"another pipeline runs on $STATE: stop it or give another --state DIR"
	dedicate_folder
	running=$STATE/running
	mkdir -p "$running" || fail "$EX_CONFIG" "cannot make $running"
	clear_running
	[ -n "$offline" ] || mkdir -p "$SPOOL"
}

clear_running() {
	rm -f "$running/status" "$running/stopping" "$running"/*.pid \
		"$running"/slack.*
}

# --- a Slack to play with ----------------------------------------------------

# It ends with us: its input is the fifo that we hold open. A session of its own
# keeps it from the terminal's Ctrl-C, so that slack-reader can say goodbye.
start_fake_slack() {
	mkfifo "$running/slack.in" "$running/slack.out" ||
		fail "$EX_UNAVAILABLE" "cannot start the made-up Slack"
	setsid /usr/bin/python3 "$here/tests/fake_slack.py" --demo --parent \
		<"$running/slack.in" >"$running/slack.out" 9>&- &
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
	say "to speak in the made-up Slack:" \
		"curl -s $(find_word control_url) -d '{\"do\":\"send\",\"text\":\":x: hello\"}'"
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
	offline='' staying='' stats_options='' fake=''
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
	: "${PATTERNS:=$here/examples/patterns.conf}"
	: "${CLASSES:=$here/examples/classes.conf}"
	source_options="$source_options --speed ${speed:-1}"
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
	if [ -n "$checking" ]; then
		[ -x "$bin/stats" ] || fail "$EX_UNAVAILABLE" "build first: make"
		check_config
		exit 0
	fi
	prepare
	trap 'stop_all 0' TERM INT HUP
	exec 3<&0
	(exec 8>&- && run_with_log) <&3 3<&- &
	pipeline=$!
	while kill -0 "$pipeline" 2>/dev/null; do
		wait "$pipeline"
	done
	status=$(cat "$running/status" 2>/dev/null || echo 0)
	end_fake_slack
	clear_running
	exit "$status"
}

main "$@"
