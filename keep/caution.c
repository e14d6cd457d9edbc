#include "caution.h"

#define PATIENCE_MS_LEAST 20
#define LINES_MOST 65536

bool
caution_rise(struct caution *caution, size_t lines)
{
	bool was_wide = caution->suspects > 0 && lines > 1;
	bool is_patient = caution->patience_ms >= caution->patience_ms_most;

	if (caution->suspects == 0)
		caution->patience_ms = PATIENCE_MS_LEAST;
	else if (was_wide && !is_patient)
		caution->patience_ms *= 4;
	if (caution->suspects < lines)
		caution->suspects = lines;
	caution->allowance = 1;
	return !was_wide || is_patient;
}

void
caution_answer(struct caution *caution, size_t lines)
{
	if (lines < caution->suspects)
		caution->suspects -= lines;
	else
		caution->suspects = 0;
}

void
caution_widen(struct caution *caution)
{
	if (caution->allowance < LINES_MOST)
		caution->allowance *= 2;
}

size_t
caution_lines(const struct caution *caution)
{
	return caution->suspects == 0 ? 0 : caution->allowance;
}
