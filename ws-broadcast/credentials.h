/* The user and the password that viewers need, and where they come from. */
#ifndef WS_BROADCAST_CREDENTIALS_H
#define WS_BROADCAST_CREDENTIALS_H

#include <stdbool.h>

/* user is NULL where nobody needs to say who they are. */
struct credentials {
	char *user;
	char *password;
	bool made;		/* just now, nobody knows the password yet */
	const char *path;	/* the file that keeps them, or NULL */
};

/*
 * Take them from BASIC_AUTH_USERNAME and BASIC_AUTH_PASSWORD (or the files
 * that these with _FILE name), else from the file at path, which may be NULL.
 * There may be none only where the address to listen on is_local. Exits
 * EX_CONFIG where that leaves the dashboard open to others.
 */
void credentials_get(struct credentials *credentials, const char *path,
    bool is_local, bool no_auth);

/* Make a password, and keep it in the file where there was one to look in. */
void credentials_make(struct credentials *credentials);

/* Wipe and free them. */
void credentials_release(struct credentials *credentials);

#endif
