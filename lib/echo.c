#include "echo.h"

#include <string.h>

const char *
echo_key(struct record *record)
{
	const cJSON *metadata;
	const char *type;

	if (!cJSON_IsTrue(record_get(record, RECORD_OWN)))
		return NULL;
	metadata = record_object(record, ECHO_METADATA);
	type = json_string(metadata, "event_type");
	if (type == NULL || strcmp(type, ECHO_EVENT_TYPE) != 0)
		return NULL;
	return json_string(json_get(metadata, "event_payload"), "key");
}
