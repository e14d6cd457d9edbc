/* Secrets come by environment or by file, never by argument. */
#ifndef LIB_SECRET_H
#define LIB_SECRET_H

/*
 * The value of the environment variable `name`, or else the first line of the
 * file that `name`_FILE names; NULL where neither is set. The caller frees it.
 * Exits EX_CONFIG where the file cannot be read. Both variables are unset, so
 * that no child inherits them.
 */
char *secret_get(const char *name);

/*
 * The same of a token, which may be set under an older name. It goes into a
 * header as it is: exits EX_CONFIG where it is not one word.
 */
char *secret_get_token(const char *name, const char *older_name);

#endif
