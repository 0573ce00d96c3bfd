/* What a head says, word by word. Not when it is whole, nor what its fields mean. */
#include "config.h"

#include "sandbox/http_head.h"

#include <ctype.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "sandbox/http_server.h"

static bool parse_request_line(struct http_exchange *x, char *line)
{
	char *target = strchr(line, ' ');
	char *version, *query;

	if (!target)
		return false;
	*target++ = '\0';
	version = strchr(target, ' ');
	if (!version)
		return false;
	*version++ = '\0';
	if (!str_has_prefix(version, "HTTP/1.") || *target != '/')
		return false;
	query = strchr(target, '?');
	if (query)
		*query++ = '\0';
	x->method = line;
	x->path = target;
	x->query = query ? query : target + strlen(target);
	return true;
}

static bool parse_field(struct http_exchange *x, char *line)
{
	char *colon = strchr(line, ':');
	char *value, *end;

	if (!colon || colon == line || x->field_count == HTTP_FIELDS_MAX)
		return false;
	*colon = '\0';
	for (char *p = line; *p; p++)
		*p = (char)tolower((unsigned char)*p);
	value = colon + 1 + strspn(colon + 1, " \t");
	end = value + strlen(value);
	while (end > value && (end[-1] == ' ' || end[-1] == '\t'))
		*--end = '\0';
	x->fields[x->field_count++] = (struct http_field){line, value};
	return true;
}

bool http_head_parse(struct http_exchange *x, char *text)
{
	char *line = text, *next;

	for (size_t n = 0; line && *line; n++, line = next) {
		next = strstr(line, "\r\n");
		if (next) {
			*next = '\0';
			next += 2;
		}
		if (n == 0 ? !parse_request_line(x, line) : !parse_field(x, line))
			return false;
	}
	return x->method != NULL;
}

const char *http_head_reason(int status)
{
	static const struct {
		int status;
		const char *text;
	} reasons[] = {
		{200, "OK"},
		{204, "No Content"},
		{206, "Partial Content"},
		{304, "Not Modified"},
		{400, "Bad Request"},
		{403, "Forbidden"},
		{404, "Not Found"},
		{405, "Method Not Allowed"},
		{409, "Conflict"},
		{411, "Length Required"},
		{412, "Precondition Failed"},
		{416, "Requested Range Not Satisfiable"},
		{500, "Internal Server Error"},
		{503, "Slow Down"},
	};

	for (size_t i = 0; i < ARRAY_LEN(reasons); i++)
		if (reasons[i].status == status)
			return reasons[i].text;
	return "Status";
}
