#include "courier.h"

#include <stdlib.h>
#include <sys/queue.h>

#include "clock.h"
#include "inbox_client.h"
#include "memory.h"

#define LOOK_MS 500	/* how often the waiting ones are looked at */

struct parcel {
	TAILQ_ENTRY(parcel) entry;
	struct courier *courier;
	struct buffer line;
	void (*done)(enum courier_end end, void *arg);	/* NULL: told, left */
	void *arg;
	int64_t since_ms;
	unsigned long looked;	/* the number of the look that it had last */
};

struct courier {
	struct inbox_client *inbox;
	struct timers *timers;
	struct timer look;
	TAILQ_HEAD(, parcel) parcels;	/* oldest first */
	unsigned long looks;
	struct courier_counts counts;
};

static void look_at_waiting(void *arg);

struct courier *
courier_new(const char *inbox, int set, struct timers *timers)
{
	struct courier *courier = xcalloc(1, sizeof *courier);

	courier->inbox = inbox_client_new(inbox, set, timers);
	courier->timers = timers;
	courier->look = (struct timer){ .due = look_at_waiting,
	    .arg = courier };
	TAILQ_INIT(&courier->parcels);
	return courier;
}

static void
remove_parcel(struct parcel *parcel)
{
	TAILQ_REMOVE(&parcel->courier->parcels, parcel, entry);
	buffer_free(&parcel->line);
	free(parcel);
}

void
courier_free(struct courier *courier)
{
	if (courier == NULL)
		return;
	inbox_client_free(courier->inbox);
	timers_cancel(courier->timers, &courier->look);
	while (!TAILQ_EMPTY(&courier->parcels))
		remove_parcel(TAILQ_FIRST(&courier->parcels));
	free(courier);
}

/* Tell whoever waits; the parcel itself stays. */
static void
tell(struct parcel *parcel, enum courier_end end)
{
	struct courier *courier = parcel->courier;
	void (*done)(enum courier_end, void *) = parcel->done;

	if (done == NULL)
		return;
	courier->counts.ends[end]++;
	courier->counts.waiting--;
	parcel->done = NULL;
	done(end, parcel->arg);
}

static void
take_answer(const char *error, void *arg)
{
	struct parcel *parcel = arg;

	tell(parcel, error == NULL ? COURIER_TAKEN : COURIER_REFUSED);
	remove_parcel(parcel);
}

/* The next one that has waited too long, and was not looked at this time. */
static struct parcel *
find_overdue(const struct courier *courier, int64_t now_ms)
{
	struct parcel *parcel;

	TAILQ_FOREACH(parcel, &courier->parcels, entry) {
		if (now_ms - parcel->since_ms < COURIER_AWAY_MS)
			break;
		if (parcel->done != NULL && parcel->looked != courier->looks)
			return parcel;
	}
	return NULL;
}

/* Take it back where it was not taken, else wait on, up to a point. */
static void
look_at(struct parcel *parcel, int64_t now_ms)
{
	parcel->looked = parcel->courier->looks;
	if (inbox_client_withdraw(parcel->courier->inbox, parcel)) {
		tell(parcel, COURIER_AWAY);
		remove_parcel(parcel);
	} else if (now_ms - parcel->since_ms >= COURIER_UNSURE_MS) {
		tell(parcel, COURIER_UNSURE);
	}
}

static void
look_at_waiting(void *arg)
{
	struct courier *courier = arg;
	int64_t now_ms = clock_steady_ms();
	struct parcel *parcel;

	courier->looks++;
	while ((parcel = find_overdue(courier, now_ms)) != NULL)
		look_at(parcel, now_ms);
	if (courier->counts.waiting > 0)
		timers_set(courier->timers, &courier->look, LOOK_MS);
}

struct parcel *
courier_send(struct courier *courier, struct buffer *line,
    void (*done)(enum courier_end end, void *arg), void *arg)
{
	struct parcel *parcel = xcalloc(1, sizeof *parcel);

	if (!inbox_client_send(courier->inbox, line->data, line->length,
	    take_answer, parcel)) {
		courier->counts.full++;
		free(parcel);
		return NULL;
	}
	*parcel = (struct parcel){ .courier = courier, .line = *line,
	    .done = done, .arg = arg, .since_ms = clock_steady_ms() };
	*line = (struct buffer){ 0 };
	TAILQ_INSERT_TAIL(&courier->parcels, parcel, entry);
	if (courier->counts.waiting++ == 0)
		timers_set(courier->timers, &courier->look, LOOK_MS);
	return parcel;
}

void
courier_leave(struct parcel *parcel)
{
	struct courier *courier = parcel->courier;

	courier->counts.left++;
	courier->counts.waiting--;
	parcel->done = NULL;
	if (inbox_client_withdraw(courier->inbox, parcel))
		remove_parcel(parcel);
}

const struct courier_counts *
courier_counts(const struct courier *courier)
{
	return &courier->counts;
}
