/* Lines come out the same however their bytes come in. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <unistd.h>

#include "buffer.h"
#include "line_reader.h"
#include "record.h"

#define COUNT(array) (sizeof(array) / sizeof(array)[0])
#define MIB (1024 * 1024)

/* Both ends of a pipe, and the reader on it. */
struct feed {
	int in;
	int out;
	struct line_reader *reader;
};

static struct feed
open_feed(size_t limit)
{
	int ends[2];

	assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
	return (
	    struct feed){ ends[1], ends[0], line_reader_new(ends[0], limit) };
}

static void
close_feed(struct feed *feed)
{
	if (feed->in != -1)
		close(feed->in);
	close(feed->out);
	line_reader_free(feed->reader);
}

/* At most what a pipe holds. */
static void
send_bytes(struct feed *feed, const char *bytes, size_t length)
{
	assert_int_equal(write(feed->in, bytes, length), length);
	for (size_t seen = 0; seen < length;) {
		ssize_t count = line_reader_fill(feed->reader);

		assert_true(count > 0);
		seen += (size_t)count;
	}
}

static void
send_end(struct feed *feed)
{
	close(feed->in);
	feed->in = -1;
	assert_false(line_reader_at_end(feed->reader));
	assert_int_equal(line_reader_fill(feed->reader), 0);
	assert_true(line_reader_at_end(feed->reader));
}

/* Write each line that is there as `[text]`, an overlong one with its total. */
static void
note_lines(struct feed *feed, struct buffer *seen)
{
	struct line line;

	while (line_reader_next(feed->reader, &line)) {
		assert_true(line.total >= line.length);
		buffer_append_string(seen, "[");
		buffer_append(seen, line.text, line.length);
		if (line.total > line.length)
			buffer_printf(seen, "...%zu", line.total);
		buffer_append_string(seen, "]");
	}
}

/* Feed the input in pieces of that size and compare what comes out. */
static void
check_pieces(const char *input, size_t length, size_t piece, const char *wanted,
    size_t wanted_length)
{
	struct feed feed = open_feed(RECORD_BYTES_MAX);
	struct buffer seen = { 0 };

	for (size_t at = 0; at < length; at += piece) {
		send_bytes(&feed, input + at,
		    length - at < piece ? length - at : piece);
		note_lines(&feed, &seen);
	}
	send_end(&feed);
	note_lines(&feed, &seen);
	note_lines(&feed, &seen);
	assert_int_equal(seen.length, wanted_length);
	if (wanted_length > 0)
		assert_memory_equal(seen.data, wanted, wanted_length);
	buffer_free(&seen);
	close_feed(&feed);
}

static void
cuts_lines_however_the_bytes_arrive(void **state)
{
	static const struct {
		const char *input;
		size_t length;
		const char *wanted;
		size_t wanted_length;
	} cases[] = {
#define CASE(input, wanted)                                                    \
	{ input, sizeof input - 1, wanted, sizeof wanted - 1 }
		CASE("", ""),
		CASE("\n", "[]"),
		CASE("\n\n\n", "[][][]"),
		CASE("a", "[a]"),
		CASE("a\n", "[a]"),
		CASE("a\nb", "[a][b]"),
		CASE("a\n\nb\n", "[a][][b]"),
		CASE("\na", "[][a]"),
		CASE("a\r\nb\r", "[a\r][b\r]"),
		CASE("\r\n\r\n", "[\r][\r]"),
		CASE("a\0b\n\0\n\0", "[a\0b][\0][\0]"),
		CASE("\xff\xfe\n\xc3\n\xa9\n", "[\xff\xfe][\xc3][\xa9]"),
		CASE("{\"a\":1}\n{\"b\":[2,3]}\n{\"c\":\"\\n\"}",
		    "[{\"a\":1}][{\"b\":[2,3]}][{\"c\":\"\\n\"}]"),
#undef CASE
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++)
		for (size_t piece = 1; piece < 12; piece++)
			check_pieces(cases[i].input, cases[i].length, piece,
			    cases[i].wanted, cases[i].wanted_length);
}

static void
splits_a_line_at_any_place(void **state)
{
	static const char input[] = "first line\nsecond\n\nfourth";
	size_t length = strlen(input);

	(void)state;
	for (size_t cut = 1; cut < length; cut++) {
		struct feed feed = open_feed(RECORD_BYTES_MAX);
		struct buffer seen = { 0 };

		send_bytes(&feed, input, cut);
		note_lines(&feed, &seen);
		send_bytes(&feed, input + cut, length - cut);
		send_end(&feed);
		note_lines(&feed, &seen);
		assert_string_equal(
		    buffer_string(&seen), "[first line][second][][fourth]");
		buffer_free(&seen);
		close_feed(&feed);
	}
}

static void
gives_a_line_as_soon_as_it_is_whole(void **state)
{
	struct feed feed = open_feed(RECORD_BYTES_MAX);
	struct line line;

	(void)state;
	assert_false(line_reader_next(feed.reader, &line));
	send_bytes(&feed, "half", 4);
	assert_false(line_reader_next(feed.reader, &line));
	assert_false(line_reader_next(feed.reader, &line));
	send_bytes(&feed, " a line\nnext", 12);
	assert_true(line_reader_next(feed.reader, &line));
	assert_int_equal(line.length, 11);
	assert_int_equal(line.total, 11);
	assert_memory_equal(line.text, "half a line", 11);
	assert_false(line_reader_next(feed.reader, &line));
	send_end(&feed);
	assert_true(line_reader_next(feed.reader, &line));
	assert_memory_equal(line.text, "next", 4);
	assert_false(line_reader_next(feed.reader, &line));
	close_feed(&feed);
}

/* Lines of many lengths, so that they straddle every border of the buffer. */
static void
keeps_the_order_of_many_lines_of_all_lengths(void **state)
{
	struct feed feed = open_feed(RECORD_BYTES_MAX);
	struct buffer input = { 0 };
	struct line line;
	size_t wanted = 0, sent = 0;

	(void)state;
	for (size_t i = 0; i < 700; i++) {
		memset(buffer_reserve(&input, i * 31), 'a' + (int)(i % 26),
		    i * 31);
		input.length += i * 31;
		buffer_append(&input, "\n", 1);
	}
	while (sent < input.length) {
		size_t piece = 1 + sent * 7919 % 60000;

		if (piece > input.length - sent)
			piece = input.length - sent;
		send_bytes(&feed, input.data + sent, piece);
		sent += piece;
		for (; line_reader_next(feed.reader, &line); wanted++) {
			assert_int_equal(line.length, wanted * 31);
			assert_int_equal(line.total, wanted * 31);
			for (size_t i = 0; i < line.length; i++)
				if (line.text[i] != 'a' + (int)(wanted % 26))
					fail_msg("line %zu is mixed", wanted);
		}
	}
	assert_int_equal(wanted, 700);
	buffer_free(&input);
	close_feed(&feed);
}

/* Send a line of that length, LF and all, in blocks a pipe holds. */
static void
send_line(struct feed *feed, size_t length, char byte)
{
	static char block[65536];
	struct line line;

	memset(block, byte, sizeof block);
	while (length > 0) {
		size_t piece = length < sizeof block ? length : sizeof block;

		send_bytes(feed, block, piece);
		assert_false(line_reader_next(feed->reader, &line));
		length -= piece;
	}
	send_bytes(feed, "\n", 1);
}

static void
check_line(struct feed *feed, size_t length, size_t limit, char byte)
{
	struct line line;

	assert_true(line_reader_next(feed->reader, &line));
	assert_int_equal(line.total, length);
	assert_int_equal(
	    line.length, length > limit ? LINE_HEAD_BYTES : length);
	for (size_t i = 0; i < line.length; i++)
		if (line.text[i] != byte)
			fail_msg("byte %zu is of another line", i);
}

static void
gives_a_line_over_the_limit_by_its_head(void **state)
{
	static const size_t limits[] = { 1024, 1025, 4096, 65535, 65536, 65537,
		131072, 200000, MIB };

	(void)state;
	for (size_t i = 0; i < COUNT(limits); i++) {
		size_t lengths[] = { limits[i] - 1, limits[i], limits[i] + 1, 0,
			limits[i] + 2, limits[i] * 3, 5, limits[i] };
		struct feed feed = open_feed(limits[i]);

		for (size_t j = 0; j < COUNT(lengths); j++) {
			send_line(&feed, lengths[j], (char)('a' + j));
			check_line(
			    &feed, lengths[j], limits[i], (char)('a' + j));
		}
		close_feed(&feed);
	}
}

static void
gives_a_last_line_over_the_limit_without_LF(void **state)
{
	static const size_t lengths[] = { 4096, 4097, 9000, 65536 };
	char *block = malloc(65536);

	(void)state;
	memset(block, 'x', 65536);
	for (size_t i = 0; i < COUNT(lengths); i++) {
		struct feed feed = open_feed(4096);
		struct line line;

		send_bytes(&feed, block, lengths[i]);
		assert_false(line_reader_next(feed.reader, &line));
		send_end(&feed);
		check_line(&feed, lengths[i], 4096, 'x');
		assert_false(line_reader_next(feed.reader, &line));
		close_feed(&feed);
	}
	free(block);
}

static void
gives_one_line_for_each_of_several_overlong_ones(void **state)
{
	struct feed feed = open_feed(4096);

	(void)state;
	for (int round = 0; round < 20; round++) {
		send_line(&feed, 100000 + (size_t)round, 'l');
		check_line(&feed, 100000 + (size_t)round, 4096, 'l');
		send_line(&feed, 10, 's');
		check_line(&feed, 10, 4096, 's');
	}
	close_feed(&feed);
}

/* Several in one block: over the limit although whole in the buffer. */
static void
cuts_overlong_lines_that_arrive_together(void **state)
{
	struct feed feed = open_feed(2000);
	struct buffer input = { 0 };
	struct line line;

	(void)state;
	for (int i = 0; i < 12; i++) {
		size_t length = i % 3 == 2 ? 2000 : 2001;

		memset(buffer_reserve(&input, length), 'a' + i, length);
		input.length += length;
		buffer_append(&input, "\n", 1);
	}
	send_bytes(&feed, input.data, input.length);
	for (int i = 0; i < 12; i++)
		check_line(
		    &feed, i % 3 == 2 ? 2000 : 2001, 2000, (char)('a' + i));
	assert_false(line_reader_next(feed.reader, &line));
	buffer_free(&input);
	close_feed(&feed);
}

#ifdef __SANITIZE_ADDRESS__
size_t __sanitizer_get_current_allocated_bytes(void);
#endif

static size_t
count_allocated(void)
{
#ifdef __SANITIZE_ADDRESS__
	return __sanitizer_get_current_allocated_bytes();
#else
	struct mallinfo2 info = mallinfo2();

	return info.uordblks + info.hblkhd;
#endif
}

static void
holds_no_more_of_a_long_line_than_the_limit_asks_for(void **state)
{
	static const size_t limits[] = { 4096, MIB };
	static char block[65536];

	(void)state;
	memset(block, 'x', sizeof block);
	for (size_t i = 0; i < COUNT(limits); i++) {
		size_t before = count_allocated(), most = 0;
		struct feed feed = open_feed(limits[i]);
		struct line line;

		for (int j = 0; j < 64 * MIB / 65536; j++) {
			send_bytes(&feed, block, sizeof block);
			assert_false(line_reader_next(feed.reader, &line));
			if (count_allocated() - before > most)
				most = count_allocated() - before;
		}
		assert_true(most <= 2 * limits[i] + 512 * 1024);
		send_bytes(&feed, "\n", 1);
		check_line(&feed, 64 * MIB, limits[i], 'x');
		close_feed(&feed);
	}
}

/* Programs idle for hours: what one long line took must not stay with them. */
static void
gives_the_room_of_a_long_line_back(void **state)
{
	size_t before = count_allocated();
	struct feed feed = open_feed(RECORD_BYTES_MAX);

	(void)state;
	send_line(&feed, 10 * MIB, 'x');
	check_line(&feed, 10 * MIB, RECORD_BYTES_MAX, 'x');
	for (int i = 0; i < 100; i++) {
		send_line(&feed, 1000, 'y');
		check_line(&feed, 1000, RECORD_BYTES_MAX, 'y');
	}
	size_t kept = count_allocated() - before;
	close_feed(&feed);
	if (kept > MIB)
		fail_msg("%zu bytes kept", kept);
}

static void
goes_on_after_EAGAIN(void **state)
{
	struct feed feed = open_feed(RECORD_BYTES_MAX);
	struct line line;

	(void)state;
	assert_int_equal(fcntl(feed.out, F_SETFL, O_NONBLOCK), 0);
	assert_int_equal(line_reader_fill(feed.reader), -1);
	assert_int_equal(errno, EAGAIN);
	send_bytes(&feed, "one\ntw", 6);
	assert_int_equal(line_reader_fill(feed.reader), -1);
	assert_int_equal(errno, EAGAIN);
	assert_false(line_reader_at_end(feed.reader));
	assert_true(line_reader_next(feed.reader, &line));
	assert_memory_equal(line.text, "one", 3);
	assert_false(line_reader_next(feed.reader, &line));
	assert_int_equal(line_reader_fill(feed.reader), -1);
	send_bytes(&feed, "o\n", 2);
	assert_true(line_reader_next(feed.reader, &line));
	assert_int_equal(line.length, 3);
	assert_memory_equal(line.text, "two", 3);
	close_feed(&feed);
}

static void
interrupt(int number)
{
	(void)number;
}

static void
goes_on_after_EINTR(void **state)
{
	static const struct itimerval often = { { 0, 5000 }, { 0, 5000 } };
	static const struct itimerval never = { 0 };
	struct sigaction action = { .sa_handler = interrupt }, old;
	struct feed feed = open_feed(RECORD_BYTES_MAX);
	struct line line;

	(void)state;
	send_bytes(&feed, "be", 2);
	sigaction(SIGALRM, &action, &old);
	setitimer(ITIMER_REAL, &often, NULL);
	ssize_t count = line_reader_fill(feed.reader);
	int error = errno;
	setitimer(ITIMER_REAL, &never, NULL);
	sigaction(SIGALRM, &old, NULL);

	assert_int_equal(count, -1);
	assert_int_equal(error, EINTR);
	assert_false(line_reader_at_end(feed.reader));
	assert_false(line_reader_next(feed.reader, &line));
	send_bytes(&feed, "fore\n", 5);
	assert_true(line_reader_next(feed.reader, &line));
	assert_int_equal(line.length, 6);
	assert_memory_equal(line.text, "before", 6);
	close_feed(&feed);
}

static void
reports_a_descriptor_that_cannot_be_read(void **state)
{
	struct line_reader *reader = line_reader_new(-1, RECORD_BYTES_MAX);
	struct line line;

	(void)state;
	assert_int_equal(line_reader_fill(reader), -1);
	assert_int_equal(errno, EBADF);
	assert_false(line_reader_at_end(reader));
	assert_false(line_reader_next(reader, &line));
	line_reader_free(reader);
	line_reader_free(NULL);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(cuts_lines_however_the_bytes_arrive),
		cmocka_unit_test(splits_a_line_at_any_place),
		cmocka_unit_test(gives_a_line_as_soon_as_it_is_whole),
		cmocka_unit_test(keeps_the_order_of_many_lines_of_all_lengths),
		cmocka_unit_test(gives_a_line_over_the_limit_by_its_head),
		cmocka_unit_test(gives_a_last_line_over_the_limit_without_LF),
		cmocka_unit_test(
		    gives_one_line_for_each_of_several_overlong_ones),
		cmocka_unit_test(cuts_overlong_lines_that_arrive_together),
		cmocka_unit_test(
		    holds_no_more_of_a_long_line_than_the_limit_asks_for),
		cmocka_unit_test(gives_the_room_of_a_long_line_back),
		cmocka_unit_test(goes_on_after_EAGAIN),
		cmocka_unit_test(goes_on_after_EINTR),
		cmocka_unit_test(reports_a_descriptor_that_cannot_be_read),
	};

	return cmocka_run_group_tests_name("line_reader", tests, NULL, NULL);
}
