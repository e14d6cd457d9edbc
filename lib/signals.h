/* What the outside asks for by signals, seen between two records. */
#ifndef LIB_SIGNALS_H
#define LIB_SIGNALS_H

#include <poll.h>
#include <stdbool.h>

/*
 * From here on TERM, INT and HUP are noted (INT only if the caller of the
 * program did not choose to ignore it); PIPE and XFSZ are ignored. They are
 * held back except in signals_poll, so no request slips by before a wait.
 */
void signals_catch(void);

/* As poll(2); a signal ends the wait with -1 and EINTR. */
int signals_poll(struct pollfd *fds, nfds_t count, int timeout_ms);

/*
 * For programs that wait elsewhere: a descriptor that is readable while
 * requests are pending, and a call that notes them. Exits EX_OSERR where there
 * is none to be had; the caller closes it.
 */
int signals_descriptor(void);
void signals_check(void);

/* Was the program asked to stop (TERM or INT)? */
bool signals_want_stop(void);

/* Was it asked to read its files again (HUP) since the last call? */
bool signals_take_reload(void);

/*
 * End as a program does that died of the signal which asked it to stop, so
 * that nobody takes its end for the end of the input. Does not return.
 */
void signals_die(void) __attribute__((noreturn));

#endif
