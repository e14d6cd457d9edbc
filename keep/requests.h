/* The signals that keep is told things by, on a descriptor. */
#ifndef KEEP_REQUESTS_H
#define KEEP_REQUESTS_H

/*
 * Returns a descriptor to read CHLD, USR1, HUP, TERM and INT from; TERM and INT
 * stay ignored where whoever started the program had them ignored. Exits
 * EX_OSERR where there is none.
 */
int requests_open(void);

/* The next signal's number, 0 where there is none. */
int requests_next(int fd);

/* End as one who dies of the signal. Does not return. */
void requests_die(int number) __attribute__((noreturn));

#endif
