#include "credentials.h"

#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <unistd.h>

#include "buffer.h"
#include "kept.h"
#include "memory.h"
#include "program.h"
#include "secret.h"

#define MADE_USER "ultron"
#define MADE_PASSWORD_LENGTH 20		/* of 5 bits each */

static void
wipe(char *text)
{
	if (text != NULL)
		explicit_bzero(text, strlen(text));
	free(text);
}

/* The characters people do not take for one another. */
static char *
make_password(void)
{
	static const char letters[] = "abcdefghijkmnpqrstuvwxyz23456789";
	unsigned char random[MADE_PASSWORD_LENGTH];
	char *password = xcalloc(1, sizeof random + 1);

	if (getrandom(random, sizeof random, 0) != sizeof random)
		err(EX_OSERR, "make a password");
	for (size_t i = 0; i < sizeof random; i++)
		password[i] = letters[random[i] % 32];
	return password;
}

/* Cut `user:password` in two. */
static void
take_pair(struct credentials *credentials, char *line)
{
	char *colon;

	line[strcspn(line, "\r\n")] = '\0';
	colon = strchr(line, ':');
	if (colon == NULL || colon == line || colon[1] == '\0')
		errx(EX_CONFIG, "%s: expected one line, user:password",
		    credentials->path);
	credentials->user = xstrndup(line, (size_t)(colon - line));
	credentials->password = xstrdup(colon + 1);
}

/* Others who can read the file could come in. */
static void
mind_rights(FILE *file, const char *path)
{
	struct stat status;

	if (fstat(fileno(file), &status) == -1)
		err(EX_CONFIG, "read %s", path);
	if (!S_ISREG(status.st_mode) || (status.st_mode & 077) != 0)
		errx(EX_CONFIG, "%s: must be a file that only its owner can"
		    " read (chmod 600)", path);
}

static bool
read_kept(struct credentials *credentials)
{
	char line[1024];
	FILE *file = fopen(credentials->path, "re");

	if (file == NULL && errno == ENOENT)
		return false;
	if (file == NULL)
		err(EX_CONFIG, "open %s", credentials->path);
	mind_rights(file, credentials->path);
	if (fgets(line, sizeof line, file) == NULL)
		line[0] = '\0';
	fclose(file);
	take_pair(credentials, line);
	explicit_bzero(line, sizeof line);
	return true;
}

/* Under keep we are started again where it may pass, and say it once. */
static void
fail(const struct credentials *credentials, const char *beside)
{
	int error = errno;

	unlink(beside);
	if (!kept_is_retry())
		warn("write %s", credentials->path);
	exit(program_failure(error));
}

/* Written beside and renamed: the file is whole or not there. */
static void
keep(const struct credentials *credentials)
{
	struct buffer beside = { 0 };
	const char *name;

	buffer_printf(&beside, "%s.%ld", credentials->path, (long)getpid());
	name = buffer_string(&beside);
	unlink(name);	/* of one with our number that was killed */
	int fd = open(name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd == -1 || dprintf(fd, "%s:%s\n", credentials->user,
	    credentials->password) < 0 || close(fd) == -1 ||
	    rename(name, credentials->path) == -1)
		fail(credentials, name);
	buffer_free(&beside);
}

static void
mind_environment(const struct credentials *credentials, bool no_auth)
{
	const char *user = credentials->user;

	if ((user == NULL) != (credentials->password == NULL))
		errx(EX_CONFIG, "set both BASIC_AUTH_USERNAME and"
		    " BASIC_AUTH_PASSWORD");
	if (user != NULL && strchr(user, ':') != NULL)
		errx(EX_CONFIG, "BASIC_AUTH_USERNAME: no ':' can be in it");
	if (user != NULL && no_auth)
		errx(EX_CONFIG, "--no-auth, but BASIC_AUTH_USERNAME is set");
}

void
credentials_get(struct credentials *credentials, const char *path,
    bool is_local, bool no_auth)
{
	*credentials = (struct credentials){
		.user = secret_get("BASIC_AUTH_USERNAME"),
		.password = secret_get("BASIC_AUTH_PASSWORD"),
	};
	mind_environment(credentials, no_auth);
	if (no_auth && !is_local)
		errx(EX_CONFIG, "--no-auth is for 127.0.0.1 and [::1] only");
	if (no_auth || credentials->user != NULL)
		return;
	credentials->path = path;
	if (path != NULL && read_kept(credentials))
		return;
	if (!is_local)
		errx(EX_CONFIG, "set BASIC_AUTH_USERNAME and"
		    " BASIC_AUTH_PASSWORD to listen on other addresses than"
		    " 127.0.0.1 and [::1]");
}

void
credentials_make(struct credentials *credentials)
{
	credentials->user = xstrdup(MADE_USER);
	credentials->password = make_password();
	credentials->made = true;
	if (credentials->path != NULL)
		keep(credentials);
}

void
credentials_release(struct credentials *credentials)
{
	wipe(credentials->user);
	wipe(credentials->password);
	*credentials = (struct credentials){ 0 };
}
