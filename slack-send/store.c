#include "store.h"

#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <time.h>
#include <unistd.h>

#include "buffer.h"
#include "kept.h"
#include "memory.h"
#include "program.h"

#define APPLICATION_ID 0x556c7452	/* "UltR" */
#define SCHEMA_VERSION 2
#define STATEMENTS_MAX 64
#define BUSY_MS 2000
#define SPARE_PAGES_MAX 1024		/* that a file may have for nothing */
#define SHRINK_PAGES "256"		/* in one step */

/* What is long stands last: what is before is found without it. */
#define COLUMNS "number,seq,purpose,id,key,channel,title,class,posts,state," \
	"digest,messages,part,attempts,limited,broken,outcomes,created,since," \
	"tried,ended,slack_channel,slack_ts,file,reason,reported,thread,due," \
	"filename,text,payload,mrkdwn"
#define COLUMN_COUNT 32

/* What a trigger does: the queue of a channel is counted, not summed up. */
#define ENTER \
	" INSERT INTO queue VALUES(NEW.channel, NEW.posts)" \
	" ON CONFLICT DO UPDATE SET posts = posts + excluded.posts; "
#define LEAVE \
	" UPDATE queue SET posts = posts - OLD.posts" \
	" WHERE channel = OLD.channel;" \
	" DELETE FROM queue WHERE channel = OLD.channel AND posts <= 0; "

#define HOLDING \
    "CREATE INDEX message_held ON message(due) WHERE state = 'held';" \
    "CREATE INDEX message_forward ON message(channel, created)" \
    "  WHERE purpose = 'forward';" \
    "CREATE INDEX message_folded ON message(channel, seq)" \
    "  WHERE purpose = 'forward' AND messages IS NOT NULL;"

static const char schema[] =
    "PRAGMA auto_vacuum=INCREMENTAL;"
    "BEGIN IMMEDIATE;"
    "CREATE TABLE message("
    "  number INTEGER PRIMARY KEY AUTOINCREMENT,"
    "  seq INTEGER,"
    "  purpose TEXT NOT NULL,"
    "  id TEXT,"
    "  key TEXT UNIQUE,"
    "  channel TEXT NOT NULL,"
    "  title TEXT,"
    "  class TEXT,"
    "  posts INTEGER NOT NULL,"
    "  state TEXT NOT NULL,"
    "  digest INTEGER,"
    "  messages INTEGER,"
    "  part INTEGER NOT NULL DEFAULT 0,"
    "  attempts INTEGER NOT NULL DEFAULT 0,"
    "  limited INTEGER NOT NULL DEFAULT 0,"
    "  broken INTEGER NOT NULL DEFAULT 0,"
    "  outcomes INTEGER NOT NULL DEFAULT 0,"
    "  created INTEGER NOT NULL,"
    "  since INTEGER NOT NULL,"
    "  tried INTEGER,"
    "  ended INTEGER,"
    "  slack_channel TEXT,"
    "  slack_ts TEXT,"
    "  file TEXT,"
    "  reason TEXT,"
    "  reported INTEGER,"
    "  text TEXT,"
    "  payload TEXT,"
    "  mrkdwn TEXT,"
    "  thread TEXT,"
    "  due INTEGER,"
    "  filename TEXT);"
    "CREATE INDEX message_id ON message(id) WHERE id IS NOT NULL;"
    "CREATE INDEX message_queue ON message(channel, number)"
    "  WHERE state IN ('queued', 'sending');"
    "CREATE INDEX message_open ON message(since)"
    "  WHERE state IN ('queued', 'sending', 'gathered');"
    "CREATE INDEX message_digest ON message(digest)"
    "  WHERE state IN ('gathered', 'failed') AND digest IS NOT NULL;"
    "CREATE INDEX message_ended ON message(ended) WHERE ended IS NOT NULL;"
    "CREATE INDEX message_report ON message(number) WHERE reported = 0;"
    "CREATE INDEX message_unsettled ON message(number)"
    "  WHERE ended IS NOT NULL AND reported IS NULL;"
    HOLDING
    "CREATE TABLE queue("
    "  channel TEXT PRIMARY KEY,"
    "  posts INTEGER NOT NULL) WITHOUT ROWID;"
    "CREATE TRIGGER message_comes AFTER INSERT ON message"
    "  WHEN NEW.state IN ('queued', 'sending') BEGIN" ENTER "END;"
    "CREATE TRIGGER message_returns AFTER UPDATE OF state ON message"
    "  WHEN OLD.state NOT IN ('queued', 'sending')"
    "  AND NEW.state IN ('queued', 'sending') BEGIN" ENTER "END;"
    "CREATE TRIGGER message_ends AFTER UPDATE OF state ON message"
    "  WHEN OLD.state IN ('queued', 'sending')"
    "  AND NEW.state NOT IN ('queued', 'sending') BEGIN" LEAVE "END;"
    "CREATE TRIGGER message_goes AFTER DELETE ON message"
    "  WHEN OLD.state IN ('queued', 'sending') BEGIN" LEAVE "END;"
    "PRAGMA application_id=0x556c7452;"
    "PRAGMA user_version=2;"
    "COMMIT;";

/* What version 1 had not. */
static const char upgrade[] =
    "BEGIN IMMEDIATE;"
    "ALTER TABLE message ADD COLUMN mrkdwn TEXT;"
    "ALTER TABLE message ADD COLUMN thread TEXT;"
    "ALTER TABLE message ADD COLUMN due INTEGER;"
    "ALTER TABLE message ADD COLUMN filename TEXT;"
    HOLDING
    "PRAGMA user_version=2;"
    "COMMIT;";

/* FULL: what is committed outlives a power cut. The log of changes is taken
 * into the file at 4 MiB. */
static const char settings[] =
    "PRAGMA synchronous=FULL;"
    "PRAGMA journal_mode=WAL;"
    "PRAGMA journal_size_limit=4194304;"
    "PRAGMA cache_size=-1024;"
    "PRAGMA cell_size_check=ON;"
    "PRAGMA trusted_schema=OFF;";

struct statement {
	const char *sql;
	sqlite3_stmt *prepared;
};

struct store {
	const char *path;
	sqlite3 *database;
	bool may_mend;
	struct statement statements[STATEMENTS_MAX];
	size_t statement_count;
	bool is_damaged;
	bool is_mended;		/* and nobody asked since */
	int failure;		/* of the last thing that failed */
	bool is_in_trouble;	/* which was said */
	char reason[200];
};

/* --- failures ---------------------------------------------------------------*/

static bool
is_damage(int failure)
{
	return (failure & 0xff) == SQLITE_CORRUPT ||
	    (failure & 0xff) == SQLITE_NOTADB;
}

/* SQLite itself forgets errno where it rolls back. */
static void
note(struct store *store, int failure)
{
	int error = errno;

	store->failure = failure;
	store->is_damaged |= is_damage(failure);
	if ((failure & 0xff) == SQLITE_IOERR && error != 0)
		snprintf(store->reason, sizeof store->reason, "%s",
		    strerror(error));
	else
		snprintf(store->reason, sizeof store->reason, "%s",
		    sqlite3_errmsg(store->database));
}

/* The exit status after the file could not be opened. */
static int
find_status(const struct store *store)
{
	int error = sqlite3_system_errno(store->database);

	switch (store->failure & 0xff) {
	case SQLITE_CANTOPEN:
	case SQLITE_PERM:
	case SQLITE_READONLY:
	case SQLITE_ERROR:
		return error == 0 ? EX_CONFIG : program_failure(error);
	default:
		return EX_TEMPFAIL;
	}
}

/* --- opening ----------------------------------------------------------------*/

static int
execute(struct store *store, const char *sql)
{
	int failure = sqlite3_exec(store->database, sql, NULL, NULL, NULL);

	if (failure == SQLITE_OK)
		return 0;
	note(store, failure);
	return -1;
}

/* A number that SQL asks for, by a statement that is used once. */
static int
ask(struct store *store, const char *sql, int64_t *number)
{
	sqlite3_stmt *statement = NULL;
	int failure = sqlite3_prepare_v2(store->database, sql, -1, &statement,
	    NULL);

	if (failure == SQLITE_OK)
		failure = sqlite3_step(statement);
	if (failure == SQLITE_ROW)
		*number = sqlite3_column_int64(statement, 0);
	else
		note(store, failure);
	sqlite3_finalize(statement);
	return failure == SQLITE_ROW ? 0 : -1;
}

/* Is there a file that never was SQLite's? One of zeros is damaged. */
static bool
is_foreign(const char *path)
{
	static const char magic[16] = "SQLite format 3", zeros[16];
	char head[16] = "";
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	ssize_t count;

	if (fd == -1)
		return false;
	count = read(fd, head, sizeof head);
	close(fd);
	return count > 0 && (count < (ssize_t)sizeof head ||
	    (memcmp(head, magic, sizeof head) != 0 &&
	    memcmp(head, zeros, sizeof head) != 0));
}

/* Ours to read only: SQLite gives its other files the mode of this one. */
static void
make_file(const char *path)
{
	int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

	if (fd != -1)
		close(fd);
}

static int
connect_file(struct store *store, const char *path)
{
	int failure = sqlite3_open_v2(path, &store->database,
	    SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, NULL);

	sqlite3_extended_result_codes(store->database, 1);
	sqlite3_busy_timeout(store->database, BUSY_MS);
	if (failure == SQLITE_OK)
		return 0;
	note(store, failure);
	return -1;
}

static void
disconnect_file(struct store *store)
{
	for (size_t i = 0; i < store->statement_count; i++)
		sqlite3_finalize(store->statements[i].prepared);
	store->statement_count = 0;
	sqlite3_close(store->database);
	store->database = NULL;
}

/* Returns 0, or the exit status where the file is none of ours to use. */
static int
judge(struct store *store, bool *is_new, bool *is_old)
{
	int64_t application, version, tables;

	if (ask(store, "PRAGMA application_id", &application) == -1 ||
	    ask(store, "PRAGMA user_version", &version) == -1 ||
	    ask(store, "SELECT count(*) FROM sqlite_schema", &tables) == -1)
		return find_status(store);
	*is_new = application == 0 && version == 0 && tables == 0;
	*is_old = application == APPLICATION_ID && version == 1;
	if (*is_new || *is_old)
		return EX_OK;
	snprintf(store->reason, sizeof store->reason,
	    application != APPLICATION_ID ? "is no outbox" :
	    "was made by a newer slack-send");
	store->failure = SQLITE_ERROR;
	return application != APPLICATION_ID || version != SCHEMA_VERSION ?
	    EX_CONFIG : EX_OK;
}

/* Returns 0, or an exit status with failure and reason set. */
static int
open_database(struct store *store, const char *path)
{
	bool is_new = false, is_old = false;
	int status;

	if (connect_file(store, path) == -1)
		return find_status(store);
	status = judge(store, &is_new, &is_old);
	if (status != EX_OK)
		return status;
	if ((is_new && execute(store, schema) == -1) ||
	    (is_old && execute(store, upgrade) == -1) ||
	    execute(store, settings) == -1)
		return find_status(store);
	return EX_OK;
}

/* --- mending ----------------------------------------------------------------*/

static char *
name_beside(const struct store *store, const char *end)
{
	struct buffer name = { 0 };

	buffer_printf(&name, "%s%s", store->path, end);
	return name.data;
}

static void
remove_all(const char *path)
{
	static const char *const ends[] = { "", "-wal", "-shm", "-journal" };

	for (size_t i = 0; i < sizeof ends / sizeof *ends; i++) {
		struct buffer name = { 0 };

		buffer_printf(&name, "%s%s", path, ends[i]);
		unlink(buffer_string(&name));
		buffer_free(&name);
	}
}

static int
copy_row(sqlite3_stmt *from, sqlite3_stmt *to)
{
	for (int i = 0; i < COLUMN_COUNT; i++)
		sqlite3_bind_value(to, i + 1, sqlite3_column_value(from, i));

	int result = sqlite3_step(to);
	sqlite3_reset(to);
	return result == SQLITE_DONE ? 0 : -1;
}

/* Take over what can be read in one direction. Returns whether that was all,
 * or -1 where it cannot be written. */
static int
copy_rows(struct store *from, struct store *to, bool is_backward)
{
	static const char *const reads[] = {
		"SELECT " COLUMNS " FROM message NOT INDEXED ORDER BY number",
		"SELECT " COLUMNS " FROM message NOT INDEXED"
		    " ORDER BY number DESC",
	};
	static const char write[] = "INSERT OR IGNORE INTO message(" COLUMNS
	    ") VALUES(?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,"
	    "?,?,?,?)";
	sqlite3_stmt *read = store_use(from, reads[is_backward]);
	sqlite3_stmt *written = store_use(to, write);
	int more;

	if (written == NULL)
		return -1;
	while ((more = store_step(from, read)) == 1)
		if (copy_row(read, written) == -1)
			return -1;
	return more == 0;
}

/* Make a good file beside the damaged one, with what can be read of that. */
static int
salvage(struct store *store, const char *beside, int64_t *rows)
{
	struct store to = { .path = beside };
	int64_t busy = 0;
	int is_whole = 0;

	remove_all(beside);
	make_file(beside);
	if (open_database(&to, beside) == EX_OK && store_begin(&to) == 0) {
		is_whole = copy_rows(store, &to, false);
		if (is_whole == 0)
			is_whole = copy_rows(store, &to, true);
		if (is_whole != -1 && store_commit(&to) == -1)
			is_whole = -1;
		/* in the file itself: its log does not go where that goes */
		if (is_whole != -1 && (ask(&to,
		    "PRAGMA wal_checkpoint(TRUNCATE)", &busy) == -1 ||
		    busy != 0))
			is_whole = -1;
		if (is_whole != -1 && ask(&to, "SELECT count(*) FROM message",
		    rows) == -1)
			is_whole = -1;
	} else {
		is_whole = -1;
	}
	disconnect_file(&to);
	return is_whole == -1 ? -1 : 0;
}

/* The damaged file and its log of changes get another name together. */
static int
move_aside(const struct store *store, const char *name)
{
	char *log = name_beside(store, "-wal");
	char *shared = name_beside(store, "-shm");
	struct buffer log_name = { 0 };

	buffer_printf(&log_name, "%s-wal", name);
	rename(log, buffer_string(&log_name));
	unlink(shared);

	int result = rename(store->path, name);
	buffer_free(&log_name);
	free(log);
	free(shared);
	return result;
}

/* A name that nobody has. */
static void
print_aside(struct buffer *name, const char *path)
{
	intmax_t second = time(NULL);

	do {
		name->length = 0;
		buffer_printf(name, "%s.damaged-%jd", path, second++);
	} while (access(buffer_string(name), F_OK) == 0);
}

static int
mend(struct store *store)
{
	char *beside = name_beside(store, ".mending");
	struct buffer aside = { 0 };
	int64_t rows = 0;
	int status = -1;

	print_aside(&aside, store->path);
	if (salvage(store, beside, &rows) == 0) {
		disconnect_file(store);
		if (move_aside(store, buffer_string(&aside)) == 0 &&
		    rename(beside, store->path) == 0)
			status = 0;
		store->is_mended |= status == 0;
		if (status == 0)
			warnx("%s was damaged and is now %s: %jd messages of it"
			    " were taken over, those that were not are in the"
			    " journal", store->path, buffer_string(&aside),
			    (intmax_t)rows);
		store->is_damaged = false;
		if (open_database(store, store->path) != EX_OK)
			status = -1;
	}
	buffer_free(&aside);
	free(beside);
	return status;
}

/* We died amid the last step of that. */
static void
finish_mending(struct store *store)
{
	char *beside = name_beside(store, ".mending");

	if (access(store->path, F_OK) == -1 && errno == ENOENT &&
	    access(beside, F_OK) == 0)
		rename(beside, store->path);
	free(beside);
}

/* --- the file ---------------------------------------------------------------*/

static int
open_or_mend(struct store *store)
{
	int status = open_database(store, store->path);

	if (status != EX_OK && store->is_damaged)
		status = store->may_mend && mend(store) == 0 ? EX_OK
		    : EX_TEMPFAIL;
	if (status != EX_OK)
		disconnect_file(store);
	return status;
}

struct store *
store_open(const char *path, bool may_mend, int *status)
{
	struct store *store = xcalloc(1, sizeof *store);

	store->path = path;
	store->may_mend = may_mend;
	if (is_foreign(path)) {
		warnx("%s: is no outbox", path);
		*status = EX_CONFIG;
		free(store);
		return NULL;
	}
	if (may_mend)
		finish_mending(store);
	make_file(path);
	*status = open_or_mend(store);
	if (*status == EX_OK)
		return store;
	if (*status != EX_TEMPFAIL || !kept_is_retry())
		warnx("%s: %s", path, store->reason);
	store_close(store);
	return NULL;
}

void
store_close(struct store *store)
{
	if (store == NULL)
		return;
	disconnect_file(store);
	free(store);
}

/* --- statements -------------------------------------------------------------*/

static sqlite3_stmt *
prepare(struct store *store, const char *sql)
{
	struct statement *statement =
	    &store->statements[store->statement_count];
	int failure;

	if (store->database == NULL ||
	    store->statement_count == STATEMENTS_MAX)
		return NULL;
	failure = sqlite3_prepare_v3(store->database, sql, -1,
	    SQLITE_PREPARE_PERSISTENT, &statement->prepared, NULL);
	if (failure != SQLITE_OK) {
		note(store, failure);
		return NULL;
	}
	statement->sql = sql;
	store->statement_count++;
	return statement->prepared;
}

sqlite3_stmt *
store_use(struct store *store, const char *sql)
{
	for (size_t i = 0; i < store->statement_count; i++) {
		struct statement *statement = &store->statements[i];

		if (statement->sql == sql) {
			sqlite3_reset(statement->prepared);
			sqlite3_clear_bindings(statement->prepared);
			return statement->prepared;
		}
	}
	return prepare(store, sql);
}

int
store_step(struct store *store, sqlite3_stmt *statement)
{
	int result;

	if (statement == NULL)
		return -1;
	errno = 0;
	result = sqlite3_step(statement);
	if (result == SQLITE_ROW)
		return 1;
	if (result != SQLITE_DONE)
		note(store, result);
	sqlite3_reset(statement);
	return result == SQLITE_DONE ? 0 : -1;
}

int
store_run(struct store *store, sqlite3_stmt *statement)
{
	int more;

	while ((more = store_step(store, statement)) == 1)
		;
	return more;
}

int
store_number(struct store *store, sqlite3_stmt *statement, int64_t *number,
    int64_t none)
{
	int more = store_step(store, statement);

	*number = none;
	if (more == 1 && sqlite3_column_type(statement, 0) != SQLITE_NULL)
		*number = sqlite3_column_int64(statement, 0);
	sqlite3_reset(statement);
	return more == -1 ? -1 : 0;
}

/* --- transactions -----------------------------------------------------------*/

int
store_begin(struct store *store)
{
	static const char sql[] = "BEGIN IMMEDIATE";

	if (store->is_damaged && store->may_mend && mend(store) == -1)
		return -1;
	if (store->database == NULL && open_or_mend(store) != EX_OK)
		return -1;
	return store_run(store, store_use(store, sql));
}

int
store_commit(struct store *store)
{
	static const char sql[] = "COMMIT";

	return store_run(store, store_use(store, sql));
}

/* Some failures have done it already. */
void
store_rollback(struct store *store)
{
	for (size_t i = 0; i < store->statement_count; i++)
		sqlite3_reset(store->statements[i].prepared);
	if (store->database != NULL &&
	    !sqlite3_get_autocommit(store->database))
		sqlite3_exec(store->database, "ROLLBACK", NULL, NULL, NULL);
}

bool
store_take_mended(struct store *store)
{
	bool is_mended = store->is_mended;

	store->is_mended = false;
	return is_mended;
}

void
store_note_success(struct store *store)
{
	if (store->is_in_trouble)
		warnx("%s is written again", store->path);
	store->is_in_trouble = false;
}

void
store_note_failure(struct store *store)
{
	if (!store->is_in_trouble && !kept_is_retry())
		warnx("cannot write %s, trying again: %s", store->path,
		    store->reason);
	store->is_in_trouble = true;
}

/* --- room -------------------------------------------------------------------*/

static int64_t
ask_pragma(struct store *store, const char *sql)
{
	int64_t number;

	return store_number(store, store_use(store, sql), &number, 0) == 0 ?
	    number : 0;
}

static int64_t
count_spare_pages(struct store *store)
{
	static const char sql[] = "PRAGMA freelist_count";

	return ask_pragma(store, sql);
}

int64_t
store_bytes(struct store *store)
{
	static const char count[] = "PRAGMA page_count";
	static const char size[] = "PRAGMA page_size";

	return (ask_pragma(store, count) - count_spare_pages(store)) *
	    ask_pragma(store, size);
}

bool
store_shrink(struct store *store)
{
	static const char sql[] = "PRAGMA incremental_vacuum(" SHRINK_PAGES ")";

	int64_t before = count_spare_pages(store), after;

	if (before <= SPARE_PAGES_MAX ||
	    store_run(store, store_use(store, sql)) == -1)
		return false;
	after = count_spare_pages(store);
	return after < before && after > SPARE_PAGES_MAX;
}
