/*
 * An identity is random, or always the same for the same key and body.
 *
 * modules: ws-broadcast/uuid.c
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "../../ws-broadcast/uuid.h"

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

static const char *
derive(const char *key, const char *body, char *text)
{
	struct uuid uuid = uuid_derive(key, body, strlen(body));

	uuid_format(&uuid, text);
	return text;
}

static void
makes_a_new_one_each_time(void **state)
{
	char first[UUID_TEXT_BYTES], text[UUID_TEXT_BYTES];
	struct uuid uuid = uuid_random();

	(void)state;
	uuid_format(&uuid, first);
	for (int i = 0; i < 100; i++) {
		uuid = uuid_random();
		uuid_format(&uuid, text);
		assert_int_equal(strlen(text), 36);
		assert_int_equal(text[14], '4');
		assert_non_null(strchr("89ab", text[19]));
		assert_string_not_equal(text, first);
	}
}

/* printf 'key\0body' | sha256sum */
static void
derives_it_from_key_and_body(void **state)
{
	char text[UUID_TEXT_BYTES], other[UUID_TEXT_BYTES];

	(void)state;
	assert_string_equal(derive("key", "body", text),
	    "10975f13-0dd4-83b7-af86-9191930b2ed1");
	assert_string_equal(derive("key", "body", other), text);
	assert_string_not_equal(derive("key", "bodY", other), text);
	assert_string_not_equal(derive("kez", "body", other), text);
	assert_string_not_equal(derive("keyb", "ody", other), text);
	assert_string_not_equal(derive("", "body", other), text);
}

static void
reads_what_it_writes(void **state)
{
	static const char *const wrong[] = {
		"", "-", "0", "00010203-0405-8607-8809-0a0b0c0d0e0",
		"00010203-0405-8607-8809-0a0b0c0d0e0f0",
		"00010203-0405-8607-8809-0a0b0c0d0e0g",
		"000102030-405-8607-8809-0a0b0c0d0e0f",
		"00010203-0405-8607-880-90a0b0c0d0e0f",
		"0x010203-0405-8607-8809-0a0b0c0d0e0f",
		"00010203-0405-8607-8809-0a0b0c0d0e \n",
		"                                    ",
		"------------------------------------",
	};
	char text[UUID_TEXT_BYTES];
	struct uuid uuid;

	(void)state;
	assert_int_equal(uuid_parse("00010203-0405-8607-8809-0A0b0c0d0e0F",
	    &uuid), 0);
	uuid_format(&uuid, text);
	assert_string_equal(text, "00010203-0405-8607-8809-0a0b0c0d0e0f");
	for (size_t i = 0; i < COUNT(wrong); i++)
		assert_int_equal(uuid_parse(wrong[i], &uuid), -1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(makes_a_new_one_each_time),
		cmocka_unit_test(derives_it_from_key_and_body),
		cmocka_unit_test(reads_what_it_writes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
