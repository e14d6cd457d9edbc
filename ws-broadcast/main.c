/*
 * ws-broadcast: passes records on and shows them, as they go by, to everybody
 * who watches the dashboard in a browser.
 */
#include <err.h>
#include <getopt.h>
#include <libgen.h>
#include <malloc.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sysexits.h>
#include <unistd.h>

#include "assets.h"
#include "buffer.h"
#include "credentials.h"
#include "listener.h"
#include "memory.h"
#include "program.h"
#include "server.h"
#include "signals.h"

#define LISTEN_DEFAULT "127.0.0.1:8080"
#define REALM_DEFAULT "Ultron"
#define ORIGINS_MAX 16
#define PER_ADDRESS_DEFAULT 64
#define PER_ADDRESS_MAX 10000
#define LARGE_BLOCK_BYTES (256 * 1024)

enum { BACKLOG = 'b', BACKLOG_BYTES = 'B', CERTIFICATE = 'T', CHECK = 'C',
	CREDENTIALS = 'c', HISTORY = 'H', INBOX = 'i', KEY = 'K', LISTEN = 'l',
	NO_AUTH = 'n', ORIGIN = 'o', OUTBOX = 'O', PER_ADDRESS = 'A',
	PING = 'p', RUN = 'r', RUNNING = 'R', STATS = 's', STAY = 'S',
	SUBSCRIPTIONS = 'x', VIEWERS = 'v', WWW = 'w' };

static const struct program_option option_list[] = {
	{ "listen", LISTEN, "ADDR:PORT", "where (" LISTEN_DEFAULT ")" },
	{ "credentials", CREDENTIALS, "FILE", "keep the made password here" },
	{ "no-auth", NO_AUTH, NULL, "let anyone on this machine watch" },
	{ "origin", ORIGIN, "URL", "allow pages from there, too" },
	{ "certificate", CERTIFICATE, "FILE", "speak https with this one" },
	{ "key", KEY, "FILE", "the certificate's key" },
	{ "www", WWW, "DIR", "files of the dashboard" },
	{ "stats", STATS, "FILE", "show these totals" },
	{ "inbox", INBOX, "SOCKET", "hand in there what is POSTed" },
	{ "outbox", OUTBOX, "FILE", "tell by this what became of it" },
	{ "subscriptions", SUBSCRIPTIONS, "FILE", "tell who wants what" },
	{ "running", RUNNING, "DIR", "tell by these whether all is well" },
	{ "backlog", BACKLOG, "N", "records kept in memory (2000)" },
	{ "backlog-bytes", BACKLOG_BYTES, "BYTES", "and their size (8MiB)" },
	{ "history", HISTORY, "N", "records for a new viewer (500)" },
	{ "viewers", VIEWERS, "N", "at most (1000)" },
	{ "per-address", PER_ADDRESS, "N", "connections for HTTP (64)" },
	{ "ping", PING, "SECONDS", "between signs of life (20)" },
	{ "run", RUN, "ID", "identity of this run of the pipeline" },
	{ "stay", STAY, NULL, "at end of input go on serving" },
	{ "check", CHECK, NULL, "look at the configuration only" },
	{ NULL, 0, NULL, NULL },
};

static const struct program program = {
	.name = "ws-broadcast",
	.synopsis = "[--listen ADDR:PORT] [--credentials FILE | --no-auth]"
	    " [--origin URL] [--certificate FILE --key FILE] [--www DIR]"
	    " [--stats FILE] [--inbox SOCKET] [--outbox FILE]"
	    " [--subscriptions FILE] [--running DIR]"
	    " [--backlog N] [--backlog-bytes BYTES] [--history N]"
	    " [--viewers N] [--per-address N] [--ping SECONDS] [--run ID]"
	    " [--stay] [--check]",
	.purpose = "Pass records on and show them on a dashboard in the"
	    " browser.",
	.example = "ws-broadcast --stay < day.ndjson > /dev/null",
	.options = option_list,
};

struct options {
	struct server_options server;
	const char *listen;
	const char *credentials;
	bool no_auth;
	bool check;
	bool is_wrong;		/* as was reported */
	char *www;		/* found beside the program */
	char *challenge;
	char run[17];
	const char *origins[ORIGINS_MAX + 1];
	size_t origin_count;
};

static void
add_origin(struct options *options, const char *origin)
{
	if (options->origin_count == ORIGINS_MAX)
		program_usage(&program, "--origin: no more than %d of them",
		    ORIGINS_MAX);
	if (strncmp(origin, "http://", 7) != 0 &&
	    strncmp(origin, "https://", 8) != 0)
		program_usage(&program,
		    "--origin: expected http(s)://host[:port]: %s", origin);
	options->origins[options->origin_count++] = origin;
}

static const char *
check_run(const char *run)
{
	static const char letters[] = "abcdefghijklmnopqrstuvwxyz"
	    "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-";

	if (*run == '\0' || strlen(run) > 64 ||
	    strspn(run, letters) != strlen(run))
		program_usage(&program,
		    "--run: expected up to 64 letters and digits: %s", run);
	return run;
}

static size_t
count(const char *option, int64_t least, int64_t most)
{
	return (size_t)program_count(&program, option, optarg, least, most);
}

static void
take_option(struct options *options, int key)
{
	struct server_options *server = &options->server;

	switch (key) {
	case LISTEN: options->listen = optarg; break;
	case CREDENTIALS: options->credentials = optarg; break;
	case NO_AUTH: options->no_auth = true; break;
	case ORIGIN: add_origin(options, optarg); break;
	case CERTIFICATE: server->tls.certificate = optarg; break;
	case KEY: server->tls.key = optarg; break;
	case WWW: server->www = optarg; break;
	case STATS: server->totals = optarg; break;
	case INBOX: server->inbox = optarg; break;
	case OUTBOX: server->outbox = optarg; break;
	case SUBSCRIPTIONS: server->subscriptions = optarg; break;
	case RUNNING: server->running = optarg; break;
	case BACKLOG: server->backlog = count("backlog", 1, 1000000); break;
	case BACKLOG_BYTES:
		server->backlog_bytes = (size_t)program_bytes(&program,
		    "backlog-bytes", optarg, 1, INT64_C(1) << 34);
		break;
	case HISTORY: server->history = count("history", 0, 1000000); break;
	case VIEWERS: server->viewers = count("viewers", 1, 100000); break;
	case PER_ADDRESS:
		server->per_address = count("per-address", 1,
		    PER_ADDRESS_MAX);
		break;
	case PING:
		server->ping_seconds = (unsigned)count("ping", 1, 3600);
		break;
	case RUN:
		server->run = check_run(optarg);
		server->is_counted = true;
		break;
	case STAY: server->stay = true; break;
	case CHECK: options->check = true; break;
	default: break;
	}
}

/* The flag wins over the environment. */
static void
choose_address(struct options *options)
{
	const char *name = "--listen", *text = options->listen;

	if (text == NULL) {
		name = "LISTEN";
		text = getenv(name);
	}
	if (text == NULL || *text == '\0')
		text = LISTEN_DEFAULT;
	if (listener_parse(text, &options->server.address) == 0)
		return;
	if (options->listen != NULL)
		program_usage(&program,
		    "--listen: expected ADDR:PORT or [ADDR]:PORT: %s", text);
	errx(EX_CONFIG, "LISTEN: expected ADDR:PORT or [ADDR]:PORT: %s", text);
}

static const char *
get_setting(const char *name)
{
	const char *value = getenv(name);

	return value != NULL && *value != '\0' ? value : NULL;
}

/* The flag wins here, too. */
static void
choose_per_address(struct server_options *server)
{
	const char *name = "CONNECTIONS_PER_ADDRESS";
	const char *text = get_setting(name);
	char *end;

	if (server->per_address != 0)
		return;
	server->per_address = PER_ADDRESS_DEFAULT;
	if (text == NULL)
		return;
	server->per_address = strtoul(text, &end, 10);
	if (*text < '0' || *text > '9' || *end != '\0' ||
	    server->per_address < 1 || server->per_address > PER_ADDRESS_MAX)
		errx(EX_CONFIG, "%s: expected a number from 1 to %d: %s", name,
		    PER_ADDRESS_MAX, text);
}

/*
 * The certificate and key where https is asked for, which an option does, too.
 * To guess might show a password to the whole network. Returns 0, or -1 with
 * the reason reported.
 */
static int
choose_files(struct certificate_files *files)
{
	const char *scheme = get_setting("HTTP_SCHEME");
	const char *certificate = get_setting("TLS_CERTIFICATE");
	const char *key = get_setting("TLS_KEY");

	if (files->certificate == NULL && files->key == NULL) {
		if (scheme == NULL && (certificate != NULL || key != NULL)) {
			warnx("TLS_CERTIFICATE or TLS_KEY is set, but not"
			    " HTTP_SCHEME: set it to https");
			return -1;
		}
		if (scheme == NULL || strcmp(scheme, "http") == 0)
			return 0;
		if (strcmp(scheme, "https") != 0) {
			warnx("HTTP_SCHEME: expected http or https: %s",
			    scheme);
			return -1;
		}
	}
	if (files->certificate == NULL)
		files->certificate = certificate;
	if (files->key == NULL)
		files->key = key;
	if (files->certificate != NULL && files->key != NULL)
		return 0;
	warnx(files->certificate == NULL
	    ? "https needs a certificate: TLS_CERTIFICATE or --certificate FILE"
	    : "https needs the certificate's key: TLS_KEY or --key FILE");
	return -1;
}

/* What is wrong is told here and ends us later, when all was looked at. */
static void
choose_tls(struct options *options)
{
	struct server_options *server = &options->server;

	if (choose_files(&server->tls) == -1) {
		options->is_wrong = true;
	} else if (server->tls.certificate != NULL) {
		server->tls_context = certificate_load(&server->tls);
		options->is_wrong = server->tls_context == NULL;
	}
}

/* build/www beside build/bin, PREFIX/share/ultron/www beside PREFIX/bin. */
static void
find_www(struct options *options)
{
	static const char *const beside[] = { "www", "share/ultron/www" };
	char self[4096] = "";
	struct buffer path = { 0 };

	if (options->server.www != NULL)
		return;
	if (readlink("/proc/self/exe", self, sizeof self - 1) == -1)
		err(EX_OSERR, "find the files of the dashboard");
	const char *prefix = dirname(dirname(self));
	for (size_t i = 0; i < 2; i++) {
		path.length = 0;
		buffer_printf(&path, "%s/%s", prefix, beside[i]);
		if (access(buffer_string(&path), R_OK) == 0)
			break;
	}
	options->www = xstrdup(buffer_string(&path));
	options->server.www = options->www;
	buffer_free(&path);
}

static void
make_challenge(struct options *options)
{
	const char *realm = getenv("BASIC_AUTH_REALM");
	struct buffer challenge = { 0 };

	if (realm == NULL || *realm == '\0')
		realm = REALM_DEFAULT;
	if (strlen(realm) > 200 || strpbrk(realm, "\"\\\r\n") != NULL)
		errx(EX_CONFIG, "BASIC_AUTH_REALM: no quotes, backslashes or"
		    " line ends, and no more than 200 bytes");
	buffer_printf(&challenge, "Basic realm=\"%s\", charset=\"UTF-8\"",
	    realm);
	options->challenge = xstrdup(buffer_string(&challenge));
	options->server.challenge = options->challenge;
	buffer_free(&challenge);
}

static void
choose_run(struct options *options)
{
	unsigned char random[8];

	if (options->server.run != NULL)
		return;
	if (getrandom(random, sizeof random, 0) != sizeof random)
		err(EX_OSERR, "make an identity for this run");
	for (size_t i = 0; i < sizeof random; i++)
		snprintf(options->run + 2 * i, 3, "%02x", random[i]);
	options->server.run = options->run;
}

static void
parse_options(struct options *options, int argc, char *argv[])
{
	int key;

	*options = (struct options){ .server = {
		.backlog = 2000, .backlog_bytes = 8 * 1024 * 1024,
		.history = 500, .viewers = 1000, .ping_seconds = 20,
	} };
	while ((key = program_option(&program, argc, argv)) != -1)
		take_option(options, key);
	program_no_arguments(&program, argc, argv);
	options->server.origins = options->origins;
	choose_address(options);
	choose_tls(options);
	choose_per_address(&options->server);
	find_www(options);
	make_challenge(options);
	choose_run(options);
}

/* The one line that says where the dashboard is, and how to get in. */
static void
announce(const struct options *options, const struct credentials *credentials)
{
	const char *address = options->server.address.text;
	const char *s = options->server.tls_context != NULL ? "s" : "";

	if (credentials->made)
		warnx("dashboard at http%s://%s/ultronex/stream user %s"
		    " password %s", s, address, credentials->user,
		    credentials->password);
	else if (credentials->path != NULL)
		warnx("dashboard at http%s://%s/ultronex/stream user %s,"
		    " password in %s", s, address, credentials->user,
		    credentials->path);
	else
		warnx("dashboard at http%s://%s/ultronex/stream", s, address);
}

/* The start may have made a password that nobody knows yet. */
static int
serve(struct options *options, struct credentials *credentials)
{
	if (credentials->user == NULL && !options->no_auth)
		credentials_make(credentials);

	struct server *server = server_new(&options->server, credentials);
	announce(options, credentials);
	credentials_release(credentials);	/* the server has hashes */

	int status = server_run(server);
	server_free(server);
	return status;
}

static int
check(struct options *options, struct credentials *credentials)
{
	assets_free(assets_load(options->server.www));
	credentials_release(credentials);
	SSL_CTX_free(options->server.tls_context);
	return EX_OK;
}

int
main(int argc, char *argv[])
{
	struct options options;
	struct credentials credentials;

	/* large records come and go: give their memory back at once */
	mallopt(M_MMAP_THRESHOLD, LARGE_BLOCK_BYTES);

	parse_options(&options, argc, argv);
	credentials_get(&credentials, options.credentials,
	    options.server.address.is_local, options.no_auth);

	if (options.is_wrong)
		exit(EX_CONFIG);

	int status = (options.check ? check : serve)(&options, &credentials);

	free(options.challenge);
	free(options.www);
	if (signals_want_stop())
		signals_die();
	return status;
}
