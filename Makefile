# Ultron. `make` builds all under build/, `make help` says what else there is.

VERSION = 0.1.0
PREFIX = /usr/local
DESTDIR =

# The programs in pipeline order, and the libraries of each.
PROGRAMS = slack-reader attach-fetch slack-bot scanner classifier ws-broadcast slack-send \
	stats keep
LIBS_slack-reader = -lwebsockets -lcurl -lssl -lcrypto -lcjson
LIBS_attach-fetch = -lcurl -lcjson -lcrypto
LIBS_slack-bot = -lpcre2-8 -lcurl -lcjson -lpthread
LIBS_scanner = -lpcre2-8 -lhs -larchive -lcjson -lpthread
LIBS_classifier = -lpcre2-8 -lcjson
LIBS_ws-broadcast = -lwebsockets -lsqlite3 -lcjson -lssl -lcrypto
LIBS_slack-send = -lsqlite3 -lcurl -lcjson
LIBS_stats = -lcjson
LIBS_keep = -lcjson

CC = gcc
CFLAGS = -O2 -g
WARNINGS = -Wall -Wextra -Werror -Wshadow -Wstrict-prototypes \
	-Wmissing-prototypes -Wpointer-arith -Wformat=2 -Wvla
HARDENING = -D_FORTIFY_SOURCE=2 -fstack-protector-strong -fPIE \
	-fstack-clash-protection
LINKING = -pie -Wl,-z,relro,-z,now,-z,noexecstack -Wl,--as-needed

# `make SANITIZE=1 …` builds the same under build/asan, with ASan and UBSan.
BUILD = build
ifdef SANITIZE
BUILD = build/asan
CFLAGS = -O1 -g -fno-omit-frame-pointer
HARDENING = -fsanitize=address,undefined -fno-sanitize-recover=undefined
LINKING =
endif

# `make V=1` shows the commands whole.
ifndef V
Q = @
say = @printf '%-6s %s\n' $(1) $(2)
endif

COMPILE = $(CC) -std=c11 -D_GNU_SOURCE -DULTRON_VERSION='"$(VERSION)"' -Ilib \
	$(WARNINGS) $(HARDENING) $(CFLAGS) -MMD -MP

BINARIES = $(PROGRAMS:%=$(BUILD)/bin/%)
LIBRARY = $(BUILD)/libultron.a
LIBRARY_OBJECTS = $(patsubst %.c,$(BUILD)/%.o,$(wildcard lib/*.c))
UNIT_TESTS = $(patsubst tests/unit/%.c,$(BUILD)/tests/%,$(wildcard tests/unit/test_*.c))
BOOTSTRAP = /usr/share/javascript/bootstrap5/css/bootstrap.min.css
WWW = $(patsubst ws-broadcast/www/%,$(BUILD)/www/%,$(wildcard ws-broadcast/www/*)) \
	$(BUILD)/www/bootstrap.min.css

# Most tests wait for something: several at once take half the time. Browsers
# have more to do.
WORKERS = 6
BROWSERS = 3
PYTEST = /usr/bin/python3 -m pytest -q -rfEs -p no:cacheprovider
SHARED = -n $(WORKERS) --dist loadgroup

.PHONY: all help test check unit torment flood bench install clean
all: $(BINARIES) $(WWW)

help:
	@echo 'make          build all programs and the dashboard under build/'
	@echo 'make test     install what the tests need, then run all of them'
	@echo 'make check    the same without installing anything'
	@echo 'make torment  try to lose a record: MINUTES=30 SEED=a number'
	@echo 'make flood    10,000 messages to one channel of Slack in a minute'
	@echo 'make bench    measure speed, latency and memory, print a table'
	@echo 'make install PREFIX=/usr/local'
	@echo 'make clean    remove build/'

# A program is all .c files of its folder.
objects_of = $(patsubst %.c,$(BUILD)/%.o,$(wildcard $(1)/*.c))
.SECONDEXPANSION:
$(BINARIES): $(BUILD)/bin/%: $$(call objects_of,$$*) $(LIBRARY)
	@mkdir -p $(@D)
	$(call say,LINK,$@)
	$(Q)$(CC) $(HARDENING) $(LINKING) -o $@ $^ $(LIBS_$*)

$(LIBRARY): $(LIBRARY_OBJECTS)
	$(call say,AR,$@)
	@rm -f $@
	$(Q)$(AR) rcs $@ $^

$(BUILD)/%.o: %.c Makefile
	@mkdir -p $(@D)
	$(call say,CC,$<)
	$(Q)$(COMPILE) -c -o $@ $<

$(BUILD)/www/bootstrap.min.css: $(BOOTSTRAP)
	@mkdir -p $(@D)
	$(Q)cp $< $@

$(BUILD)/www/%: ws-broadcast/www/%
	@mkdir -p $(@D)
	$(Q)cp $< $@

# The unwell kernel that tests/judge makes of a well one, by LD_PRELOAD.
build/chaos.so: tests/judge/chaos.c Makefile
	@mkdir -p $(@D)
	$(call say,LINK,$@)
	$(Q)$(CC) -std=c11 -D_GNU_SOURCE $(WARNINGS) -O2 -g -shared -fPIC -o $@ $<

# A unit test links the library and the modules it names in a line such as
# `modules: ws-broadcast/ring.c`.
modules_of = $(patsubst %.c,$(BUILD)/%.o,$(shell \
	sed -n 's/.*modules: *\([^*]*\).*/\1/p' tests/unit/$(1).c))
$(UNIT_TESTS): $(BUILD)/tests/%: $(BUILD)/tests/unit/%.o $$(call modules_of,$$*) $(LIBRARY)
	$(call say,LINK,$@)
	$(Q)$(CC) $(HARDENING) $(LINKING) -o $@ $^ -lcmocka -lpcre2-8 -lhs \
		-lwebsockets -lcurl -lsqlite3 -lcjson -lssl -lcrypto

# What one said is shown where it failed.
UNIT_RUNS = $(UNIT_TESTS:%=%.run)
.PHONY: $(UNIT_RUNS)
$(UNIT_RUNS): %.run: %
	$(call say,TEST,$<)
	$(Q)$< >$<.log 2>&1 || { cat $<.log; exit 1; }

unit: $(UNIT_RUNS)

test:
	./run.sh --install-for-tests
	$(MAKE) -j $$(nproc) check

# The judge torments the pipeline by the same dice each time, and by others.
DICE := $(shell od -An -N3 -tu4 /dev/urandom | tr -d ' ')

# The unit tests and the programs' tests run on the sanitized build, too; the
# fake Slack is none of our programs.
check: all build/chaos.so
	$(MAKE) unit
	$(MAKE) SANITIZE=1 all unit
	ULTRON_BIN=build/asan/bin $(PYTEST) $(SHARED) \
		--ignore tests/programs/test_fake_slack.py tests/programs
	@echo 'judge: seeds 20261122 and $(DICE)'
	ULTRON_JUDGE_SEED=$(DICE) $(PYTEST) $(SHARED) tests/judge
	$(PYTEST) $(SHARED) -n $(BROWSERS) tests/browser
	$(PYTEST) $(SHARED) --ignore tests/judge --ignore tests/browser tests

# How long to torment the pipeline, and by which dice; none: one of its own.
MINUTES = 30
SEED =

torment: all build/chaos.so
	/usr/bin/python3 tests/judge/judge.py --minutes $(MINUTES) \
		$(SEED:%=--seed %)

# `make test` has a fourth of it.
flood: all
	ULTRON_FLOOD=full $(PYTEST) -s tests/pipeline/test_flood.py

bench: all
	/usr/bin/python3 bench/bench.py

install: all
	install -d $(DESTDIR)$(PREFIX)/bin $(DESTDIR)$(PREFIX)/share/ultron/www \
		$(DESTDIR)$(PREFIX)/share/man/man1 $(DESTDIR)$(PREFIX)/share/man/man5 \
		$(DESTDIR)$(PREFIX)/share/man/man7
	install -m 755 $(BINARIES) $(DESTDIR)$(PREFIX)/bin
	install -m 644 $(WWW) $(DESTDIR)$(PREFIX)/share/ultron/www
	install -m 644 examples/quotes.txt $(DESTDIR)$(PREFIX)/share/ultron
	for section in 1 5 7; do install -m 644 man/*.$$section \
		$(DESTDIR)$(PREFIX)/share/man/man$$section || exit 1; done

clean:
	rm -rf build

-include $(shell find $(BUILD) -name '*.d' 2>/dev/null)
